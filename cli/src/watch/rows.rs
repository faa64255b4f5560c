//! The content of a watch's table: the latest tasks, and the number of changes to each status since it started.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use mesh_client::{ChangeList, ChangeView, TaskSummaryView};
use mesh_task::{Status, TaskId, TaskType};

/// More rows than a terminal has lines.
const MAX_ROWS: usize = 500;

#[derive(Debug)]
pub(super) struct Rows {
    rows: HashMap<TaskId, Row>,
    /// The number of changes, by the status after the change.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// When the watch started.
    pub(super) since: Timestamp,
    /// The cursor from which to follow the log.
    pub(super) next: String,
    /// Why the last request failed.
    pub(super) error: Option<String>,
    wanted: Option<TaskType>,
}

/// A task after its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: TaskId,
    pub(super) task_type: TaskType,
    pub(super) status: Status,
    pub(super) attempt: u32,
    pub(super) updated_at: Timestamp,
}

impl Rows {
    pub(super) fn new(
        tasks: Vec<TaskSummaryView>,
        next: String,
        wanted: Option<TaskType>,
        since: Timestamp,
    ) -> Self {
        let rows = tasks.into_iter().map(|task| {
            let row = Row {
                id: task.id,
                task_type: task.task_type,
                status: task.status,
                attempt: task.attempt,
                updated_at: task.updated_at,
            };
            (task.id, row)
        });
        Self {
            rows: rows.collect(),
            counts: BTreeMap::new(),
            since,
            next,
            error: None,
            wanted,
        }
    }

    pub(super) fn apply(&mut self, response: ChangeList) {
        self.next = response.next;
        self.error = None;
        for change in &response.changes {
            if self.wanted.is_none_or(|wanted| wanted == change.task_type) {
                self.apply_change(change);
            }
        }
        if self.rows.len() > MAX_ROWS {
            let latest: Vec<_> = self.latest().into_iter().take(MAX_ROWS).collect();
            self.rows = latest.into_iter().map(|row| (row.id, row)).collect();
        }
    }

    fn apply_change(&mut self, change: &ChangeView) {
        let Some(status) = change.status.status() else {
            self.rows.remove(&change.id);
            return;
        };
        *self.counts.entry(status.as_str()).or_default() += 1;
        let row = Row {
            id: change.id,
            task_type: change.task_type,
            status,
            attempt: change.attempt,
            updated_at: change.updated_at,
        };
        // The list that was loaded first may be ahead of the log.
        let known = self.rows.entry(change.id).or_insert(row);
        if known.updated_at <= row.updated_at {
            *known = row;
        }
    }

    /// The rows, the latest change first.
    pub(super) fn latest(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self.rows.values().copied().collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.updated_at, row.id)));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: TaskId, status: &str, second: i64) -> ChangeView {
        ChangeView {
            cursor: "1".to_owned(),
            id,
            task_type: TaskType::Ocr,
            status: status.to_owned().into(),
            previous_status: None,
            generation: 1,
            attempt: 1,
            updated_at: Timestamp::from_second(second).unwrap(),
        }
    }

    #[test]
    fn a_row_shows_its_task_s_last_change_until_the_task_is_removed() {
        let mut rows = Rows::new(Vec::new(), "0".to_owned(), None, Timestamp::UNIX_EPOCH);
        let [a, b] = [TaskId::generate(), TaskId::generate()];
        let log = |changes: Vec<ChangeView>| ChangeList {
            changes,
            next: "9".to_owned(),
            links: None,
        };
        rows.apply(log(vec![
            change(a, "pending", 1),
            change(b, "pending", 2),
            change(a, "completed", 3),
        ]));
        let latest: Vec<_> = rows
            .latest()
            .into_iter()
            .map(|row| (row.id, row.status))
            .collect();
        assert_eq!(latest, [(a, Status::Completed), (b, Status::Pending)]);
        assert_eq!((rows.next.as_str(), rows.counts["pending"]), ("9", 2));
        // An older change than the one in the table.
        rows.apply(log(vec![change(a, "processing", 2), change(b, "removed", 4)]));
        assert_eq!(rows.latest().len(), 1);
        assert_eq!(rows.latest()[0].status, Status::Completed);
        rows.wanted = Some(TaskType::Sentiment);
        rows.apply(log(vec![change(b, "pending", 5)]));
        assert_eq!(rows.latest().len(), 1);
    }
}

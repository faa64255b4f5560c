//! What a watch knows: the latest tasks, and how many have come to which end since it began.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use mesh_client::{Change, Changes, TaskSummary};
use mesh_task::{Status, TaskId, TaskType};

/// How many tasks are kept: more than a screen has lines.
const MOST: usize = 500;

/// The latest tasks and their counts.
#[derive(Debug)]
pub(super) struct Rows {
    rows: HashMap<TaskId, Row>,
    /// Changes that were seen, by the status they led to.
    pub(super) seen: BTreeMap<&'static str, u64>,
    pub(super) since: Timestamp,
    /// From where to follow on.
    pub(super) next: String,
    /// Why nothing is heard at present.
    pub(super) trouble: Option<String>,
    wanted: Option<TaskType>,
}

/// A task as it last was.
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
        tasks: Vec<TaskSummary>,
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
            seen: BTreeMap::new(),
            since,
            next,
            trouble: None,
            wanted,
        }
    }

    pub(super) fn follow(&mut self, seen: Changes) {
        self.next = seen.next;
        self.trouble = None;
        for change in &seen.changes {
            if self.wanted.is_none_or(|wanted| wanted == change.task_type) {
                self.take(change);
            }
        }
        if self.rows.len() > MOST {
            let kept: Vec<_> = self.latest().into_iter().take(MOST).collect();
            self.rows = kept.into_iter().map(|row| (row.id, row)).collect();
        }
    }

    fn take(&mut self, change: &Change) {
        let Some(status) = Status::named(&change.status) else {
            self.rows.remove(&change.id);
            return;
        };
        *self.seen.entry(status.as_str()).or_default() += 1;
        let row = Row {
            id: change.id,
            task_type: change.task_type,
            status,
            attempt: change.attempt,
            updated_at: change.updated_at,
        };
        // The list that was read first may be ahead of the log.
        let known = self.rows.entry(change.id).or_insert(row);
        if known.updated_at <= row.updated_at {
            *known = row;
        }
    }

    /// Those that changed last before the others.
    pub(super) fn latest(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self.rows.values().copied().collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.updated_at, row.id)));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: TaskId, status: &str, second: i64) -> Change {
        Change {
            cursor: "1".to_owned(),
            id,
            task_type: TaskType::Ocr,
            status: status.to_owned(),
            previous_status: None,
            generation: 1,
            attempt: 1,
            updated_at: Timestamp::from_second(second).unwrap(),
        }
    }

    #[test]
    fn a_task_stands_as_its_last_change_says_and_goes_when_it_is_removed() {
        let mut rows = Rows::new(Vec::new(), "0".to_owned(), None, Timestamp::UNIX_EPOCH);
        let [a, b] = [TaskId::generate(), TaskId::generate()];
        let log = |changes: Vec<Change>| Changes {
            changes,
            next: "9".to_owned(),
        };
        rows.follow(log(vec![
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
        assert_eq!((rows.next.as_str(), rows.seen["pending"]), ("9", 2));
        // Told late: the list was ahead.
        rows.follow(log(vec![change(a, "processing", 2), change(b, "removed", 4)]));
        assert_eq!(rows.latest().len(), 1);
        assert_eq!(rows.latest()[0].status, Status::Completed);
        rows.wanted = Some(TaskType::Sentiment);
        rows.follow(log(vec![change(b, "pending", 5)]));
        assert_eq!(rows.latest().len(), 1);
    }
}

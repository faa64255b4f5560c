//! Metrics about all tasks, made where each change is counted exactly once.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use mesh_stats::{Change, Record};
use mesh_task::{TaskEnd, TaskType};
use mesh_telemetry::{EmfRecord, Metric};

/// What metrics are made of for a change that was just counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedChange {
    pub task_type: TaskType,
    /// How the task ended; `None` if it is not final.
    pub end: Option<TaskEnd>,
    /// How long the task was ready before a worker claimed it, if the change is a claim.
    pub queue_wait: Option<Duration>,
    /// How long the attempt took, if it completed or failed the task.
    pub run: Option<Duration>,
}

/// Where the metrics go.
pub trait ChangeMetrics: Debug + Send + Sync {
    /// Takes changes that were just counted, each once.
    fn counted(&self, changes: &[CountedChange]);
}

/// Writes the metrics to the log, from which CloudWatch reads them. Outside of Lambda it writes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmfMetrics;

impl ChangeMetrics for EmfMetrics {
    fn counted(&self, changes: &[CountedChange]) {
        emf_records(changes).into_iter().for_each(EmfRecord::write);
    }
}

impl CountedChange {
    /// The changes that were just counted; `records` are the records that contained them.
    pub(crate) fn of_records(changes: &[Change], records: &[Record]) -> Vec<Self> {
        let records: HashMap<_, _> = records.iter().map(|record| (&record.sequence, record)).collect();
        let counted = changes.iter().map(|change| {
            let record = records.get(&change.sequence);
            let task = record.and_then(|record| record.new.as_ref());
            let error = task.and_then(|task| task.error.as_ref());
            Self {
                task_type: change.task_type,
                end: change.status.and_then(|status| TaskEnd::new(status, error)),
                queue_wait: record.and_then(|record| record.queue_wait()),
                run: record.and_then(|record| record.run()),
            }
        });
        counted.collect()
    }
}

/// One record for all changes, and one for each task type and outcome among the tasks that became final.
fn emf_records(changes: &[CountedChange]) -> Vec<EmfRecord> {
    let mut ends: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut dead = 0;
    for change in changes {
        let Some(end) = change.end else { continue };
        dead += u64::from(end == TaskEnd::Dead);
        *ends.entry((change.task_type.as_str(), end.as_str())).or_default() += 1;
    }
    let all = EmfRecord::default()
        .with(Metric::ChangesCounted, changes.len() as u64)
        .with_nonzero(Metric::DeadLetters, dead);
    let ends = ends.into_iter().map(|((task_type, end), count)| {
        EmfRecord::default()
            .with(Metric::TasksEnded, count)
            .property("TaskType", task_type)
            .property("Outcome", end)
    });
    std::iter::once(all).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use mesh_stats::{Sequence, Snapshot};
    use mesh_task::{FailureKind, RunError};
    use serde_json::json;

    use super::*;

    fn record(sequence: u32, status: &str, failed: Option<FailureKind>) -> Record {
        let error = failed.map(|kind| RunError::timeout().into_failure(kind));
        let task = |status: &str| -> Snapshot {
            serde_json::from_value(json!({
                "id": "0198c1a2-7d3e-7000-8000-000000000001", "tenant": "default", "type": "ocr", "status": status,
                "generation": 1, "attempt": 1, "fence": 1, "created_at": 1_800_000_000_000_i64,
                "updated_at": 1_800_000_000_000_i64, "error": error,
            }))
            .unwrap()
        };
        Record {
            sequence: Sequence::try_from(sequence.to_string()).unwrap(),
            written_at: "2026-01-31T12:00:00Z".parse().unwrap(),
            old: Some(task("processing")),
            new: (status != "removed").then(|| task(status)),
        }
    }

    #[test]
    fn final_tasks_are_counted_by_type_and_outcome_and_dead_letters_also_by_themselves() {
        let records = [
            record(1, "completed", None),
            record(2, "completed", None),
            record(3, "failed", Some(FailureKind::Permanent)),
            record(4, "failed", Some(FailureKind::Exhausted)),
            record(5, "failed", Some(FailureKind::Timeout)),
            record(6, "pending", Some(FailureKind::Transient)),
            record(7, "removed", None),
        ];
        let changes: Vec<_> = records.iter().filter_map(Record::change).collect();
        let end = |outcome: &str, count| {
            EmfRecord::default()
                .with(Metric::TasksEnded, count)
                .property("TaskType", "ocr")
                .property("Outcome", outcome)
        };
        let all = EmfRecord::default()
            .with(Metric::ChangesCounted, 7)
            .with(Metric::DeadLetters, 2);
        let expected = [all, end("completed", 2), end("dead", 2), end("failed", 1)];
        assert_eq!(
            emf_records(&CountedChange::of_records(&changes, &records)),
            expected
        );
        assert_eq!(
            emf_records(&CountedChange::of_records(&changes[..1], &records)),
            [
                EmfRecord::default().with(Metric::ChangesCounted, 1),
                end("completed", 1)
            ],
            "records that were counted before are not counted again"
        );
    }
}

//! The metrics of the tasks as a whole: made where each change is counted once.

use std::collections::{BTreeMap, HashMap};

use mesh_stats::{Change, Record};
use mesh_task::TaskEnd;
use mesh_telemetry::{EmfRecord, Metric};

/// Writes the metrics of changes that were just counted, of the records that told them.
pub(crate) fn counted(changes: &[Change], records: &[Record]) {
    measured(changes, records).into_iter().for_each(EmfRecord::write);
}

/// A line for all of them, and one for each type and outcome of those that came to their end.
fn measured(changes: &[Change], records: &[Record]) -> Vec<EmfRecord> {
    let records: HashMap<_, _> = records.iter().map(|record| (&record.sequence, record)).collect();
    let mut ends: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut dead = 0;
    for change in changes {
        let task = records
            .get(&change.sequence)
            .and_then(|record| record.new.as_ref());
        let error = task.and_then(|task| task.error.as_ref());
        let Some(end) = change.status.and_then(|status| TaskEnd::new(status, error)) else {
            continue;
        };
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
    fn ends_are_counted_by_type_and_outcome_and_dead_letters_once_more() {
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
        assert_eq!(measured(&changes, &records), expected);
        assert_eq!(
            measured(&changes[..1], &records),
            [
                EmfRecord::default().with(Metric::ChangesCounted, 1),
                end("completed", 1)
            ],
            "what was counted before is not counted again"
        );
    }
}

//! A stream record, and the entry that it adds to the change log.

use std::time::Duration;

use jiff::Timestamp;
use mesh_task::{Failure, Status, TaskId, TaskType, Tenant};
use serde::{Deserialize, Serialize};

use crate::Sequence;

/// The part of a task's item that the counters need. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    pub id: TaskId,
    pub tenant: Tenant,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    pub status: Status,
    /// Rises with every retry or redrive by a person.
    pub generation: u32,
    /// How many attempts of this generation are spent.
    pub attempt: u32,
    /// The task's fence after the change.
    pub fence: u64,
    /// When the API accepted the task.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub created_at: Timestamp,
    /// When the task last changed.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
    /// No attempt begins before this time; `None` if the task is not backing off.
    #[serde(default, with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub next_attempt_at: Option<Timestamp>,
    /// The error of a failed task, or of the last attempt while another follows.
    #[serde(default)]
    pub error: Option<Failure>,
    /// When DynamoDB may delete the item, in seconds since the epoch.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

impl Snapshot {
    /// The attributes of an item that a snapshot is made of: a reader leaves out the others, which may be large.
    pub const ATTRIBUTES: [&str; 12] = [
        "id",
        "tenant",
        "type",
        "status",
        "generation",
        "attempt",
        "fence",
        "created_at",
        "updated_at",
        "next_attempt_at",
        "error",
        "expires_at",
    ];

    /// Orders the states of a task: greater for the later one.
    pub(crate) fn age(&self) -> (u32, u64, Timestamp, bool) {
        (
            self.generation,
            self.fence,
            self.updated_at,
            self.status.is_final(),
        )
    }
}

/// One record of the task table's stream: a task before and after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's number in its stream shard.
    pub sequence: Sequence,
    /// When the write happened by DynamoDB's clock, to the second.
    pub written_at: Timestamp,
    /// The task before the write; `None` if it is new.
    pub old: Option<Snapshot>,
    /// The task after the write; `None` if it was deleted.
    pub new: Option<Snapshot>,
}

/// One entry of the change log: the part of a write that a client can see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The number of the record that reported the change.
    pub sequence: Sequence,
    pub id: TaskId,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// The status before; `None` if the task is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Status>,
    /// The status after; `None` if the task was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    pub generation: u32,
    /// How many attempts of this generation are spent.
    pub attempt: u32,
    pub fence: u64,
    /// When the task last changed. A deletion does not change it.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
}

impl Record {
    /// The change that a client can see; `None` for a renewed lease or a deferred check.
    #[must_use]
    pub fn change(&self) -> Option<Change> {
        let task = self.new.as_ref().or(self.old.as_ref())?;
        let visible = |task: &Snapshot| (task.status, task.generation, task.attempt, task.fence);
        if let (Some(old), Some(new)) = (&self.old, &self.new)
            && visible(old) == visible(new)
        {
            return None;
        }
        Some(Change {
            sequence: self.sequence.clone(),
            id: task.id,
            task_type: task.task_type,
            from: self.old.as_ref().map(|task| task.status),
            status: self.new.as_ref().map(|task| task.status),
            generation: task.generation,
            attempt: task.attempt,
            fence: task.fence,
            updated_at: task.updated_at,
        })
    }
}

impl Record {
    /// How long the task was ready before a worker claimed it. `None` if the record is not a claim.
    #[must_use]
    pub fn queue_wait(&self) -> Option<Duration> {
        let (old, new) = self.transition()?;
        // A back-off is not a wait for a worker.
        let ready_at = old
            .next_attempt_at
            .map_or(old.updated_at, |at| at.max(old.updated_at));
        let is_claim = (old.status, new.status) == (Status::Pending, Status::Processing);
        is_claim.then(|| between(ready_at, new.updated_at))
    }

    /// How long the attempt took that completed or failed the task. `None` if the record is not such an end.
    #[must_use]
    pub fn run(&self) -> Option<Duration> {
        let (old, new) = self.transition()?;
        let is_end =
            old.status == Status::Processing && matches!(new.status, Status::Completed | Status::Failed);
        is_end.then(|| between(old.updated_at, new.updated_at))
    }

    /// The task before and after a change of its status.
    fn transition(&self) -> Option<(&Snapshot, &Snapshot)> {
        let (old, new) = (self.old.as_ref()?, self.new.as_ref()?);
        (old.status != new.status).then_some((old, new))
    }
}

/// The time between two stamps; zero if the clocks of two machines put the end before the beginning.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

impl Change {
    /// Orders the changes of a task: greater for the later one. A deletion is the last.
    pub(crate) fn age(&self) -> (u32, u64, Timestamp, bool) {
        let is_final = self.status.is_none_or(Status::is_final);
        (self.generation, self.fence, self.updated_at, is_final)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{record, task};

    #[test]
    fn a_renewed_lease_is_not_a_change() {
        let task = task(Status::Processing);
        let mut renewed = task.clone();
        renewed.next_attempt_at = Some(task.updated_at);
        assert_eq!(record(1, Some(&task), Some(&renewed)).change(), None);
        assert_eq!(record(1, None, None).change(), None);
    }

    #[test]
    fn a_deletion_reports_the_deleted_task() {
        let task = task(Status::Completed);
        let change = record(1, Some(&task), None).change().unwrap();
        assert_eq!(
            (change.id, change.from, change.status),
            (task.id, Some(Status::Completed), None)
        );
    }

    #[test]
    fn a_snapshot_is_read_from_an_item_of_the_table() {
        let item = serde_json::json!({
            "id": "0198c1a2-7d3e-7000-8000-000000000001", "tenant": "default", "type": "ocr", "modality": "image",
            "status": "pending", "payload": { "inline": {} }, "generation": 1, "attempt": 0, "fence": 0,
            "created_at": 1_800_000_000_000_i64, "updated_at": 1_800_000_000_000_i64, "expires_at": 1_800_086_400,
        });
        let snapshot: Snapshot = serde_json::from_value(item).unwrap();
        assert_eq!(
            (snapshot.task_type, snapshot.status, snapshot.next_attempt_at),
            (TaskType::Ocr, Status::Pending, None)
        );
    }

    #[test]
    fn a_snapshot_needs_no_attribute_but_those_that_are_read() {
        let error = serde_json::json!({ "kind": "permanent", "code": "unreadable-input", "message": "no" });
        let mut item = serde_json::json!({
            "id": "0198c1a2-7d3e-7000-8000-000000000001", "tenant": "default", "type": "ocr", "status": "failed",
            "generation": 2, "attempt": 1, "fence": 3, "created_at": 1_800_000_000_000_i64,
            "updated_at": 1_800_000_000_001_i64, "next_attempt_at": 1_800_000_000_002_i64, "expires_at": 1_800_086_400,
            "error": error, "modality": "image", "payload": { "inline": {} }, "history": [], "metadata": {},
        });
        let whole: Snapshot = serde_json::from_value(item.clone()).unwrap();
        let fields = item.as_object_mut().unwrap();
        fields.retain(|name, _| Snapshot::ATTRIBUTES.contains(&name.as_str()));
        assert_eq!(fields.len(), Snapshot::ATTRIBUTES.len());
        assert_eq!(serde_json::from_value::<Snapshot>(item).unwrap(), whole);
    }
}

//! What a stream record says of a task, and the entry that it leaves in the change log.

use jiff::Timestamp;
use mesh_task::{Failure, Status, TaskId, TaskType, Tenant};
use serde::{Deserialize, Serialize};

use crate::Sequence;

/// What the counters look at of a task's item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// The task.
    pub id: TaskId,
    /// Its owner.
    pub tenant: Tenant,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Where it stands.
    pub status: Status,
    /// Rises with every retry by a person.
    pub generation: u32,
    /// How many attempts of this generation are spent.
    pub attempt: u32,
    /// Rises with every claim, cancel, redrive and take-back.
    pub fence: u64,
    /// When it was accepted.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
    /// Not before this will it be tried again.
    #[serde(default, with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub next_attempt_at: Option<Timestamp>,
    /// The error, once failed; before that, the last attempt's.
    #[serde(default)]
    pub error: Option<Failure>,
    /// When DynamoDB may remove the item, in seconds since the epoch.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

impl Snapshot {
    /// Greater for the later one of two states of a task.
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
    /// Its number.
    pub sequence: Sequence,
    /// When the write happened, to the second, by DynamoDB's clock.
    pub written_at: Timestamp,
    /// The task before; none if it is new.
    pub old: Option<Snapshot>,
    /// The task after; none if it was removed.
    pub new: Option<Snapshot>,
}

/// One entry of the change log: what a client can see of a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The record that told it.
    pub sequence: Sequence,
    /// The task.
    pub id: TaskId,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Where it stood before; none if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Status>,
    /// Where it stands; none if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Its generation.
    pub generation: u32,
    /// How many attempts of this generation are spent.
    pub attempt: u32,
    /// Its fence.
    pub fence: u64,
    /// When the task last changed. A removal leaves it as it was.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
}

impl Record {
    /// What a client can see of it. A renewed lease or another look of the janitor is nothing to see.
    #[must_use]
    pub fn change(&self) -> Option<Change> {
        let task = self.new.as_ref().or(self.old.as_ref())?;
        let told = |task: &Snapshot| (task.status, task.generation, task.attempt, task.fence);
        if let (Some(old), Some(new)) = (&self.old, &self.new)
            && told(old) == told(new)
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

impl Change {
    /// Greater for the later one of two states of a task; a removal is the last.
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
    fn a_renewed_lease_is_no_change() {
        let task = task(Status::Processing);
        let mut looked_at = task.clone();
        looked_at.next_attempt_at = Some(task.updated_at);
        assert_eq!(record(1, Some(&task), Some(&looked_at)).change(), None);
        assert_eq!(record(1, None, None).change(), None);
    }

    #[test]
    fn a_removal_tells_what_was_removed() {
        let task = task(Status::Completed);
        let change = record(1, Some(&task), None).change().unwrap();
        assert_eq!(
            (change.id, change.from, change.status),
            (task.id, Some(Status::Completed), None)
        );
    }

    #[test]
    fn an_item_of_the_table_is_read_as_the_counters_need_it() {
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
}

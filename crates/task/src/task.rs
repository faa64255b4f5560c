//! What is kept of a task.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Failure, Metadata, Payload, TaskId, TaskResult, Tenant};

/// What a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskType {
    /// Does the text speak well or ill of its subject?
    Sentiment,
    /// Where are the faces on the picture?
    FaceDetection,
}

/// What kind of payload a type takes, and so which worker runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modality {
    /// The text worker's.
    Text,
    /// The image worker's.
    Image,
}

impl TaskType {
    /// Every type, in the order the documentation lists them.
    pub const ALL: [Self; 2] = [Self::Sentiment, Self::FaceDetection];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sentiment => "sentiment",
            Self::FaceDetection => "face_detection",
        }
    }

    /// Which worker runs it.
    #[must_use]
    pub const fn modality(self) -> Modality {
        match self {
            Self::Sentiment => Modality::Text,
            Self::FaceDetection => Modality::Image,
        }
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No type has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no task type is named so; the types are {}", TaskType::ALL.map(TaskType::as_str).join(", "))]
pub struct UnknownTaskType;

impl FromStr for TaskType {
    type Err = UnknownTaskType;

    fn from_str(name: &str) -> Result<Self, UnknownTaskType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or(UnknownTaskType)
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for a worker, or for the time of its next attempt.
    Pending,
    /// A worker holds its lease.
    Processing,
    /// Final, with a result.
    Completed,
    /// Final, with an error.
    Failed,
}

impl Status {
    /// The name in the table and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more will happen to it by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// A task as the table holds it. Times are kept in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// Its owner.
    pub tenant: Tenant,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Where it stands.
    pub status: Status,
    /// Its input, or where that lies.
    pub payload: Payload,
    /// The client's own notes.
    #[serde(default)]
    pub metadata: Metadata,
    /// Rises with every retry by a person; a message of an older generation is dropped.
    pub generation: u32,
    /// How many attempts of this generation are spent, the current one included.
    pub attempt: u32,
    /// Rises with every claim and never resets; only who holds the newest may write.
    pub fence: u64,
    /// How many attempts in a row, the current one included, have not ended by themselves: their process died, or
    /// they were cut off. Above 1 in a running task, its input is suspected to be the cause.
    #[serde(default)]
    pub suspicion: u32,
    /// The answer, once completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// The error, once failed; before that, the last attempt's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// When it was accepted.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
    /// Not before this will it be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub next_attempt_at: Option<Timestamp>,
    /// Until when its worker may be taken to be alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub lease_until: Option<Timestamp>,
}

impl Task {
    /// A task that was just accepted.
    #[must_use]
    pub fn new(
        id: TaskId,
        tenant: Tenant,
        task_type: TaskType,
        payload: Payload,
        metadata: Metadata,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant,
            task_type,
            status: Status::Pending,
            payload,
            metadata,
            generation: 1,
            attempt: 0,
            fence: 0,
            suspicion: 0,
            result: None,
            error: None,
            created_at: now,
            updated_at: now,
            next_attempt_at: None,
            lease_until: None,
        }
    }

    /// The message that rings for the task's present generation.
    #[must_use]
    pub fn message(&self) -> Message {
        Message {
            tenant: self.tenant.clone(),
            id: self.id,
            generation: self.generation,
        }
    }
}

/// What travels through a queue: only the name of a task. The table holds the truth.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The task's owner.
    pub tenant: Tenant,
    /// The task.
    pub id: TaskId,
    /// The generation it rings for.
    pub generation: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_on_the_wire_is_the_name_in_code() {
        for kind in TaskType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("telepathy".parse::<TaskType>(), Err(UnknownTaskType));
        assert!(UnknownTaskType.to_string().contains("sentiment, face_detection"));
        for status in [
            Status::Pending,
            Status::Processing,
            Status::Completed,
            Status::Failed,
        ] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn a_task_is_read_back_as_it_was_written() {
        let payload = Payload::Inline(serde_json::json!({ "text": "fine" }));
        let now = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let task = Task::new(
            TaskId::generate(),
            Tenant::first(),
            TaskType::Sentiment,
            payload,
            [].into(),
            now,
        );
        let written = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&written).unwrap(), task);
    }
}

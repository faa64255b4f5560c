//! What a list shows of a task.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    Failure, Lane, Message, Metadata, Priority, Size, Status, Task, TaskId, TaskType, Tenant, WorkerKind,
};

/// A task without the parts that may be large: input, result and history. Each field is the one of [`Task`] of that name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TaskSummary {
    pub id: TaskId,
    pub tenant: Tenant,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    #[serde(rename = "modality")]
    pub worker_kind: WorkerKind,
    pub size: Size,
    #[serde(default)]
    pub priority: Priority,
    pub status: Status,
    #[serde(default)]
    pub metadata: Metadata,
    pub generation: u32,
    pub attempt: u32,
    pub max_attempts: u32,
    #[serde(default)]
    pub error: Option<Failure>,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub created_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
    #[serde(default)]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub next_attempt_at: Option<Timestamp>,
}

impl TaskSummary {
    /// The attributes of a task's item that a summary is read from.
    pub const ATTRIBUTES: [&str; 15] = [
        "id",
        "tenant",
        "type",
        "modality",
        "size",
        "priority",
        "status",
        "metadata",
        "generation",
        "attempt",
        "max_attempts",
        "error",
        "created_at",
        "updated_at",
        "next_attempt_at",
    ];

    /// The lane of the task's messages.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        Lane::new(self.worker_kind, self.size, self.priority)
    }

    /// The message of the task's current generation.
    #[must_use]
    pub fn message(&self) -> Message {
        Message {
            tenant: self.tenant.clone(),
            id: self.id,
            generation: self.generation,
        }
    }
}

impl From<Task> for TaskSummary {
    fn from(task: Task) -> Self {
        Self {
            id: task.id,
            tenant: task.tenant,
            task_type: task.task_type,
            worker_kind: task.worker_kind,
            size: task.size,
            priority: task.priority,
            status: task.status,
            metadata: task.metadata,
            generation: task.generation,
            attempt: task.attempt,
            max_attempts: task.max_attempts,
            error: task.error,
            created_at: task.created_at,
            updated_at: task.updated_at,
            next_attempt_at: task.next_attempt_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{FailureKind, RunError, testing};

    #[test]
    fn a_summary_is_read_from_its_attributes_alone() {
        let mut task = testing::task();
        task.error = Some(RunError::crashed().into_failure(FailureKind::Transient));
        task.next_attempt_at = Some(testing::NOON);
        task.metadata.insert("key".to_owned(), "value".to_owned());
        let Value::Object(mut item) = serde_json::to_value(&task).unwrap() else {
            unreachable!()
        };
        item.retain(|name, _| TaskSummary::ATTRIBUTES.contains(&name.as_str()));
        assert_eq!(item.len(), TaskSummary::ATTRIBUTES.len());
        let read: TaskSummary = serde_json::from_value(Value::Object(item)).unwrap();
        assert_eq!(read, TaskSummary::from(task.clone()));
        assert_eq!(read.message(), task.message());
    }
}

//! A task as a list has it.

use jiff::Timestamp;
use mesh_task::{Failure, Metadata, Priority, Size, Status, TaskId, TaskSummary, TaskType};
use serde::Serialize;
use utoipa::ToSchema;

/// A task without its input, result and attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = TaskSummary)]
pub(crate) struct SummaryView {
    id: TaskId,
    #[serde(rename = "type")]
    task_type: TaskType,
    size: Size,
    priority: Priority,
    status: Status,
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<Failure>,
    generation: u32,
    attempt: u32,
    max_attempts: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_attempt_at: Option<Timestamp>,
}

impl From<TaskSummary> for SummaryView {
    fn from(task: TaskSummary) -> Self {
        Self {
            id: task.id,
            task_type: task.task_type,
            size: task.size,
            priority: task.priority,
            status: task.status,
            metadata: task.metadata,
            error: task.error,
            generation: task.generation,
            attempt: task.attempt,
            max_attempts: task.max_attempts,
            created_at: task.created_at,
            updated_at: task.updated_at,
            next_attempt_at: task.next_attempt_at,
        }
    }
}

//! Tasks, in full and in lists.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mesh_task::{
    Attempt, Failure, ModelName, Outcome, Priority, Size, Status, TaskId, TaskResult, TaskSummary, TaskType,
    Timings, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Task))]
pub struct TaskView {
    pub id: TaskId,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    pub size: Size,
    pub priority: Priority,
    pub status: Status,
    /// As it was submitted. If its content is stored apart, the content is replaced by `object` with `key`, `bytes`,
    /// `content_type` and `sha256`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub input: Value,
    /// Where to download the input's content. Absent if `input` contains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub input_link: Option<Link>,
    /// The client's own notes, as they were submitted.
    pub metadata: BTreeMap<String, String>,
    /// Absent until the task is completed, and if the result is too large: `result_link` is then present.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub result: Option<TaskResult>,
    /// Where to download a result that is too large for `result`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub result_link: Option<Link>,
    /// Why the task failed. Before that, why its last attempt failed; absent if none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub error: Option<Failure>,
    /// The model that gave the result. Absent until the task is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub model: Option<ModelName>,
    /// Durations of the attempt that gave the result. Absent until the task is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub timings: Option<Timings>,
    /// What a language model's provider counted. Absent if no provider was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub usage: Option<Usage>,
    /// Starts at 1. Each retry or redrive adds 1.
    pub generation: u32,
    /// The number of attempts in this generation, including the current one.
    pub attempt: u32,
    /// The task fails if this many attempts of a generation fail.
    pub max_attempts: u32,
    /// The time limit of an attempt, if the submission has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub timeout_seconds: Option<u32>,
    /// The name of the task in the logs of all functions that handle it.
    pub correlation_id: String,
    /// The last ten, oldest first.
    pub attempts: Vec<AttemptView>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The next attempt does not start earlier. Absent unless an attempt failed and another follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next_attempt_at: Option<Timestamp>,
}

/// Where to download an input or a result that is stored apart from its task. The address is signed: it needs no token, and
/// is valid until `expires_at`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Link {
    pub url: String,
    pub expires_at: Timestamp,
    /// The length of the content.
    pub bytes: u64,
    pub content_type: String,
    /// The SHA-256 of the content, in hexadecimal digits.
    pub sha256: String,
}

/// One of a task's last ten attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Attempt))]
pub struct AttemptView {
    pub generation: u32,
    /// When a worker claimed the task.
    pub started_at: Timestamp,
    /// Absent while the attempt runs, and if its worker stopped without a report.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub ended_at: Option<Timestamp>,
    /// Absent while the attempt runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub outcome: Option<Outcome>,
    /// The error's code and message, truncated to 256 bytes. Absent if the attempt has no error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub error: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            generation: attempt.generation,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome,
            error: attempt.error,
        }
    }
}

/// A task without its input, result and attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TaskSummary))]
pub struct TaskSummaryView {
    pub id: TaskId,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    pub size: Size,
    pub priority: Priority,
    pub status: Status,
    /// The client's own notes, as they were submitted.
    pub metadata: BTreeMap<String, String>,
    /// Why the task failed. Before that, why its last attempt failed; absent if none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub error: Option<Failure>,
    /// Starts at 1. Each retry or redrive adds 1.
    pub generation: u32,
    /// The number of attempts in this generation, including the current one.
    pub attempt: u32,
    /// The task fails if this many attempts of a generation fail.
    pub max_attempts: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The next attempt does not start earlier. Absent unless an attempt failed and another follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next_attempt_at: Option<Timestamp>,
}

impl From<TaskSummary> for TaskSummaryView {
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

/// A page of tasks, newest first. It may be short, or empty, although more pages follow. The last page has no `next_cursor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TaskPage))]
pub struct TaskList {
    pub tasks: Vec<TaskSummaryView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next_cursor: Option<String>,
}

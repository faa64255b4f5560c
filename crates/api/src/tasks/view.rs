//! A task as its owner reads it.

use std::time::Duration;

use jiff::Timestamp;
use mesh_http::Problem;
use mesh_task::{
    Attempt, Failure, Metadata, ModelName, ObjectRef, Outcome, Payload, Priority, Size, Status, Task, TaskId,
    TaskResult, TaskType, Timings, Usage,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::state::ApiState;

/// How long a link to an input or a result is valid.
pub(crate) const LINK_EXPIRES_IN: Duration = Duration::from_mins(15);

/// A task, with its input, its result and its last attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    id: TaskId,
    #[serde(rename = "type")]
    task_type: TaskType,
    size: Size,
    priority: Priority,
    status: Status,
    /// The input as it was submitted. If its content is stored in the bucket: its parameters, and `object` with `key`,
    /// `bytes`, `content_type` and `sha256`.
    #[schema(value_type = Object)]
    input: InputView,
    /// Present if the input's content is stored in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    input_link: Option<LinkView>,
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result: Option<TaskResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result_link: Option<LinkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<Failure>,
    /// The model that gave the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    model: Option<ModelName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    timings: Option<Timings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    usage: Option<Usage>,
    generation: u32,
    attempt: u32,
    max_attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    timeout_seconds: Option<u32>,
    correlation_id: String,
    attempts: Vec<AttemptView>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_attempt_at: Option<Timestamp>,
}

/// The input itself, or its parameters with a reference to its content.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum InputView {
    Inline(Value),
    Object {
        #[serde(flatten)]
        parameters: Map<String, Value>,
        object: ObjectView,
    },
}

/// The object in the bucket that is an input's content.
#[derive(Serialize)]
pub(crate) struct ObjectView {
    key: String,
    bytes: u64,
    content_type: String,
    sha256: String,
}

/// A signed address of an input or a result that is too large for the task's item. It needs no token.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
struct LinkView {
    url: String,
    expires_at: Timestamp,
    bytes: u64,
    content_type: String,
    sha256: String,
}

/// One of a task's last ten attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    generation: u32,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

impl TaskView {
    /// Signs a link if the input is an object, and another if the result is.
    pub(crate) async fn new(task: Task, api: &ApiState) -> Result<Self, Problem> {
        let input_link = match &task.payload {
            Payload::Object { object, .. } => Some(LinkView::new(object.clone(), api).await?),
            Payload::Inline(_) => None,
        };
        let result_link = match task.result_object.clone() {
            Some(object) => Some(LinkView::new(object, api).await?),
            None => None,
        };
        let attempts = task
            .history_with_outcomes()
            .into_iter()
            .map(AttemptView::from)
            .collect();
        let (model, timings, usage) = match task.report {
            Some(report) => (Some(report.model), Some(report.timings), report.usage),
            None => (None, None, None),
        };
        Ok(Self {
            id: task.id,
            task_type: task.task_type,
            size: task.size,
            priority: task.priority,
            status: task.status,
            input: task.payload.into(),
            input_link,
            metadata: task.metadata,
            result: task.result,
            result_link,
            error: task.error,
            model,
            timings,
            usage,
            generation: task.generation,
            attempt: task.attempt,
            max_attempts: task.max_attempts,
            timeout_seconds: task.timeout_seconds,
            correlation_id: task.correlation_id,
            attempts,
            created_at: task.created_at,
            updated_at: task.updated_at,
            next_attempt_at: task.next_attempt_at,
        })
    }
}

impl From<Payload> for InputView {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Inline(input) => Self::Inline(input),
            Payload::Object { object, parameters } => Self::Object {
                parameters,
                object: ObjectView {
                    key: object.key,
                    bytes: object.bytes,
                    content_type: object.content_type,
                    sha256: object.sha256,
                },
            },
        }
    }
}

impl LinkView {
    pub(crate) async fn new(object: ObjectRef, api: &ApiState) -> Result<Self, Problem> {
        let expires_at = Timestamp::now() + LINK_EXPIRES_IN;
        let url = api.payloads.link(&object, LINK_EXPIRES_IN).await?;
        Ok(Self {
            url,
            expires_at,
            bytes: object.bytes,
            content_type: object.content_type,
            sha256: object.sha256,
        })
    }
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

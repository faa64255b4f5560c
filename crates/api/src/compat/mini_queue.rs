//! The mini task queue.

use axum::Json;
use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use mesh_http::{JsonText, Problem};
use mesh_task::{Payload, Status, TaskId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Accepted, NamedTask, SimpleKind, SimpleResult, SimpleSubmission, accepted, failure};
use crate::submission::Submitter;

/// The text that this system processed for a request without a body.
const SAMPLE: &str = "Sample background task";

#[derive(Serialize, ToSchema)]
pub(crate) struct Submitted {
    task_id: TaskId,
    #[schema(inline)]
    status: SubmittedStatus,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SubmittedStatus {
    Submitted,
}

/// Submit a text for its sentiment, or an image for its faces
#[utoipa::path(
    post,
    path = "/task",
    tag = "earlier systems",
    operation_id = "compat_create_task",
    request_body = inline(SimpleSubmission),
    responses((status = 202, description = "The task is accepted.", body = inline(Submitted))),
)]
pub(crate) async fn submit(submitter: Submitter, request: Request) -> Accepted<Submitted> {
    let text = if request.body().is_end_stream() {
        Bytes::new()
    } else {
        // A client that sends its body in chunks may end it without any.
        let JsonText(text) = JsonText::from_request(request, &()).await?;
        text
    };
    let submission = if text.is_empty() {
        SimpleSubmission {
            kind: SimpleKind::Text,
            data: SAMPLE.to_owned(),
        }
    } else {
        SimpleSubmission::parse(mesh_http::json::parse(&text)?)?
    };
    let task = submitter.create(submission.into_present()).await?;
    accepted(Submitted {
        task_id: task.id,
        status: SubmittedStatus::Submitted,
    })
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum QueueStatus {
    Pending,
    Running,
    Completed,
    Failed,
}

impl From<Status> for QueueStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Blocked | Status::Pending => Self::Pending,
            Status::Processing => Self::Running,
            Status::Completed => Self::Completed,
            Status::Failed | Status::Cancelled => Self::Failed,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TaskState {
    id: TaskId,
    task_id: TaskId,
    #[schema(inline)]
    status: QueueStatus,
    /// The text of the task. Null if it has another input.
    #[schema(required)]
    data: Option<String>,
    /// Present once the task is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<SimpleResult>,
    /// Present once the task has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// A task's state
#[utoipa::path(
    get,
    path = "/task/{id}",
    tag = "earlier systems",
    operation_id = "compat_show_task",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task's state.", body = inline(TaskState)), (status = 404)),
)]
pub(crate) async fn show(NamedTask(task): NamedTask) -> Result<Json<TaskState>, Problem> {
    let data = match &task.payload {
        Payload::Inline(input) => input["text"].as_str().map(str::to_owned),
        Payload::Object { .. } => None,
    };
    Ok(Json(TaskState {
        id: task.id,
        task_id: task.id,
        status: task.status.into(),
        data,
        result: SimpleResult::new(&task)?,
        error: failure(&task),
    }))
}

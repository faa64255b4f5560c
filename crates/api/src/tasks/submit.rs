//! `POST /v1/tasks`: accepts one task.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use mesh_api_types::{SubmitLinks, SubmitResponse};
use mesh_http::{JsonBody, Problem};
use mesh_task::{Status, TaskId, TaskType};

use crate::state::ApiState;
use crate::submission::Submitter;

pub(super) fn submit_response(
    api: &ApiState,
    id: TaskId,
    task_type: TaskType,
    status: Status,
) -> SubmitResponse {
    let itself = format!("/v1/tasks/{id}");
    let links = SubmitLinks {
        wait: format!("{itself}?wait=20"),
        events: api.events_at(&format!("{itself}/events")),
        itself,
    };
    SubmitResponse {
        id,
        task_type,
        status,
        links,
    }
}

/// Accepts one task.
#[utoipa::path(
    post,
    path = "/tasks",
    tag = "tasks",
    operation_id = "submit_task",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe: for 24 hours, the same key with the same body gives the first request's answer.", max_length = 255, pattern = "^[!-~]+$"), ("X-Correlation-Id" = Option<String>, Header, description = "The name of the task in the logs of all functions that handle it. The default is the trace id of `traceparent`, or else the request's own id.", max_length = 128, pattern = "^[!-~]+$")),
    request_body(content = ref("#/components/schemas/Submission")),
    responses((status = 202, description = "The task is written and its message is sent.", body = SubmitResponse)),
)]
pub(crate) async fn submit(
    State(api): State<Arc<ApiState>>,
    submitter: Submitter,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<SubmitResponse>), Problem> {
    let task = submitter.create(body).await?;
    let accepted = submit_response(&api, task.id, task.task_type, task.status);
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

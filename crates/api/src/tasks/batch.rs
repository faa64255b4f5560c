//! `POST /v1/tasks/batch`: accepts many tasks, each by itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use mesh_api_types::{BatchResponse, BatchResult};
use mesh_http::{Deadline, JsonText, Problem, RequestId};

use super::submit::submit_response;
use crate::state::ApiState;
use crate::submission::{EntryOutcome, Submitter};

fn batch_result(outcome: EntryOutcome, api: &ApiState, request_id: &str) -> BatchResult {
    match outcome {
        Ok(task) => BatchResult {
            status: StatusCode::ACCEPTED.as_u16(),
            task: Some(submit_response(api, task.id, task.task_type, task.status)),
            problem: None,
        },
        Err(problem) => BatchResult {
            status: problem.status().as_u16(),
            task: None,
            problem: Some(problem.document(request_id)),
        },
    }
}

/// Accepts up to 1,000 tasks. Each entry is accepted or refused by itself.
#[utoipa::path(
    post,
    path = "/tasks/batch",
    tag = "tasks",
    operation_id = "submit_batch",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe: for 24 hours, the same key with the same body gives the first request's answer.", max_length = 255, pattern = "^[!-~]+$"), ("X-Correlation-Id" = Option<String>, Header, description = "The name of the task in the logs of all functions that handle it. The default is the trace id of `traceparent`, or else the request's own id.", max_length = 128, pattern = "^[!-~]+$")),
    request_body(content = ref("#/components/schemas/Batch")),
    responses((status = 202, description = "The outcome of each entry, in the order of the request.", body = BatchResponse)),
)]
pub(crate) async fn submit_batch(
    State(api): State<Arc<ApiState>>,
    Deadline(deadline): Deadline,
    RequestId(request_id): RequestId,
    submitter: Submitter,
    JsonText(body): JsonText,
) -> Result<(StatusCode, Json<BatchResponse>), Problem> {
    let outcomes = submitter.create_batch(&body, deadline).await?.into_iter();
    let results = outcomes.map(|outcome| batch_result(outcome, &api, &request_id));
    let results = results.collect();
    Ok((StatusCode::ACCEPTED, Json(BatchResponse { results })))
}

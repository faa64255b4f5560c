//! `POST /v1/tasks/batch`: accepts many tasks, each by itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use mesh_http::{Deadline, JsonBody, Problem, ProblemDocument, RequestId};
use serde::Serialize;
use utoipa::ToSchema;

use super::submit::Accepted;
use crate::state::ApiState;
use crate::submission::{EntryOutcome, Submitter};

/// The outcome of each entry of a batch, in the order of the request.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchResults)]
pub(crate) struct Results {
    results: Vec<Entry>,
}

/// The answer that a request for this task alone would have received.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchResult)]
struct Entry {
    status: u16,
    /// Absent if the entry was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    task: Option<Accepted>,
    /// Absent if the entry was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<ProblemDocument>,
}

impl Entry {
    fn new(outcome: EntryOutcome, api: &ApiState, request_id: &str) -> Self {
        match outcome {
            Ok(task) => Self {
                status: StatusCode::ACCEPTED.as_u16(),
                task: Some(Accepted::new(api, task.id, task.task_type, task.status)),
                problem: None,
            },
            Err(problem) => Self {
                status: problem.status().as_u16(),
                task: None,
                problem: Some(problem.document(request_id)),
            },
        }
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
    responses((status = 202, description = "The outcome of each entry, in the order of the request.", body = Results)),
)]
pub(crate) async fn submit_batch(
    State(api): State<Arc<ApiState>>,
    Deadline(deadline): Deadline,
    RequestId(request_id): RequestId,
    submitter: Submitter,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Results>), Problem> {
    let outcomes = submitter.create_batch(body, deadline).await?.into_iter();
    let results = outcomes.map(|outcome| Entry::new(outcome, &api, &request_id));
    let results = results.collect();
    Ok((StatusCode::ACCEPTED, Json(Results { results })))
}

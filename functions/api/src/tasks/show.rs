//! `GET /v1/tasks/{id}`: shows one task, at once or when it is final.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use jiff::Timestamp;
use lambda_http::Context;
use mesh_task::{Failure, Metadata, ObjectRef, Payload, Status, Task, TaskId, TaskResult, TaskType, Tenant};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::app::Api;
use crate::problem::Problem;

/// The longest wait that may be asked for, in seconds.
const MAX_WAIT: u64 = 20;
/// What a wait leaves of the invocation, to answer in.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);
/// A waiting caller's first read again; each next one comes half as much later, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
pub(crate) struct Params {
    wait: Option<String>,
}

/// A task as its owner sees it.
#[derive(Serialize)]
pub(crate) struct TaskView {
    id: TaskId,
    #[serde(rename = "type")]
    task_type: TaskType,
    status: Status,
    input: InputView,
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<TaskResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    attempt: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
}

/// The input itself, or where it lies.
#[derive(Serialize)]
#[serde(untagged)]
enum InputView {
    Inline(Value),
    Object { object: ObjectView },
}

#[derive(Serialize)]
struct ObjectView {
    key: String,
    bytes: u64,
    content_type: String,
    sha256: String,
}

impl From<Task> for TaskView {
    fn from(task: Task) -> Self {
        let input = match task.payload {
            Payload::Inline(input) => InputView::Inline(input),
            Payload::Object(ObjectRef {
                key,
                sha256,
                bytes,
                content_type,
                ..
            }) => InputView::Object {
                object: ObjectView {
                    key,
                    bytes,
                    content_type,
                    sha256,
                },
            },
        };
        Self {
            id: task.id,
            task_type: task.task_type,
            status: task.status,
            input,
            metadata: task.metadata,
            result: task.result,
            error: task.error,
            attempt: task.attempt,
            created_at: task.created_at,
            updated_at: task.updated_at,
            next_attempt_at: task.next_attempt_at,
        }
    }
}

/// Answers with the task; with `?wait=SECONDS` not before it is final or the time is up.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    context: Option<Extension<Context>>,
    id: Result<Path<String>, PathRejection>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<TaskView>, Problem> {
    // What is no id names no task: to the caller both are the same.
    let id: TaskId = id
        .ok()
        .and_then(|Path(id)| id.parse().ok())
        .ok_or_else(Problem::task_not_found)?;
    let Query(params) = params.map_err(|error| Problem::invalid_query(&error))?;
    let wait = params.wait.as_deref().map_or(Ok(Duration::ZERO), parse_wait)?;
    let left = context.map_or(Duration::MAX, |Extension(context)| {
        context
            .deadline()
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    });
    let until = Instant::now() + wait.min(left.saturating_sub(ANSWER_MARGIN));
    let mut pause = FIRST_PAUSE;
    loop {
        let task = api
            .table
            .get(&tenant, id)
            .await
            .map_err(|error| Problem::unavailable(&error))?;
        let task = task.ok_or_else(Problem::task_not_found)?;
        let now = Instant::now();
        if task.status.is_final() || now >= until {
            return Ok(Json(task.into()));
        }
        sleep_until(until.min(now + pause)).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

fn parse_wait(given: &str) -> Result<Duration, Problem> {
    match given.parse() {
        Ok(seconds) if seconds <= MAX_WAIT => Ok(Duration::from_secs(seconds)),
        _ => Err(Problem::invalid_wait(given, MAX_WAIT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_whole_number_of_seconds_up_to_twenty() {
        assert_eq!(parse_wait("0").unwrap(), Duration::ZERO);
        assert_eq!(parse_wait("20").unwrap(), Duration::from_secs(20));
        for given in ["", "21", "-1", "1.5", "ten", "99999999999999999999"] {
            assert!(parse_wait(given).is_err(), "{given}");
        }
    }
}

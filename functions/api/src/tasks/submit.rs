//! `POST /v1/tasks`: takes one task.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use mesh_task::{NewTask, Payload, Status, StoredInput, Task, TaskId, TaskType, Tenant};
use serde::Serialize;

use crate::app::Api;
use crate::problem::Problem;
use crate::request::JsonBody;

#[derive(Serialize)]
struct Accepted {
    id: TaskId,
    #[serde(rename = "type")]
    task_type: TaskType,
    status: Status,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    itself: String,
    wait: String,
}

/// Keeps the task, rings for it, and only then accepts it.
pub(crate) async fn submit(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let NewTask {
        task_type,
        input,
        metadata,
    } = NewTask::parse(body)?;
    let id = TaskId::generate();
    let unavailable = |error| Problem::unavailable(&error);
    let payload = match input.into_stored() {
        StoredInput::Inline(input) => Payload::Inline(input),
        StoredInput::Object { body, content_type } => {
            let put = api.payloads.put_input(&tenant, id, body, content_type);
            Payload::Object(put.await.map_err(unavailable)?)
        }
    };
    let task = Task::new(id, tenant, task_type, payload, metadata, Timestamp::now());
    api.table
        .create(&task, api.retention)
        .await
        .map_err(unavailable)?;
    api.queue(task_type.modality())
        .send(&task.message(), Duration::ZERO)
        .await
        .map_err(unavailable)?;
    let itself = format!("/v1/tasks/{id}");
    let links = Links {
        wait: format!("{itself}?wait=20"),
        itself,
    };
    let accepted = Accepted {
        id,
        task_type,
        status: task.status,
        links,
    };
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}

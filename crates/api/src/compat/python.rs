//! AI Mesh in Python.

use std::sync::Arc;

use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{Multipart, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use mesh_http::limits::MAX_BODY_BYTES;
use mesh_http::{JsonBody, Problem};
use mesh_task::{Status, Task, TaskId, TaskType, Tenant};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Accepted, NamedTask, SimpleResult, SimpleSubmission, accepted, failure};
use crate::state::ApiState;
use crate::submission::Submitter;
use crate::workers;

#[derive(Serialize, ToSchema)]
pub(crate) struct Submitted {
    task_id: TaskId,
}

/// Submit a text for its sentiment, or an image for its faces
#[utoipa::path(
    post,
    path = "/submit",
    tag = "earlier systems",
    operation_id = "compat_submit",
    request_body = inline(SimpleSubmission),
    responses((status = 202, description = "The task is accepted.", body = inline(Submitted))),
)]
pub(crate) async fn submit(submitter: Submitter, JsonBody(body): JsonBody) -> Accepted<Submitted> {
    let body = SimpleSubmission::parse(body)?.into_present();
    let task_id = submitter.create(body).await?.id;
    accepted(Submitted { task_id })
}

/// Submit a text for its sentiment, or an image for its faces
#[utoipa::path(
    post,
    path = "/submit-task",
    tag = "earlier systems",
    operation_id = "compat_submit_task",
    request_body = inline(SimpleSubmission),
    responses((status = 202, description = "The task is accepted.", body = inline(Submitted))),
)]
pub(crate) async fn submit_task(submitter: Submitter, body: JsonBody) -> Accepted<Submitted> {
    submit(submitter, body).await
}

/// The fields of the form.
#[derive(ToSchema)]
struct Form {
    #[schema(value_type = String, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    /// `text` or `image`. By default the content decides.
    #[schema(nullable = false)]
    task_type: Option<String>,
}

/// Submit a file, as a form
#[utoipa::path(
    post,
    path = "/enqueue",
    tag = "earlier systems",
    operation_id = "compat_enqueue",
    request_body(content = inline(Form), content_type = "multipart/form-data"),
    responses((status = 202, description = "The task is accepted.", body = inline(Submitted))),
)]
pub(crate) async fn enqueue(
    submitter: Submitter,
    form: Result<Multipart, MultipartRejection>,
) -> Accepted<Submitted> {
    let form = form.map_err(|error| Problem::invalid_task(error.body_text()))?;
    let body = Form::read(form).await?.into_present();
    let task_id = submitter.create(body).await?.id;
    accepted(Submitted { task_id })
}

impl Form {
    /// Reads a form. Its clients gave the two fields several names.
    async fn read(mut form: Multipart) -> Result<Self, Problem> {
        let refused = |error: MultipartError| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::payload_too_large(MAX_BODY_BYTES + 1, MAX_BODY_BYTES),
            _ => Problem::invalid_task(error.body_text()),
        };
        let (mut task_type, mut file) = (None, None);
        while let Some(field) = form.next_field().await.map_err(refused)? {
            match field.name().unwrap_or_default() {
                "task_type" | "type" if task_type.is_none() => {
                    task_type = Some(field.text().await.map_err(refused)?);
                }
                "file" | "data" | "image" | "text" if file.is_none() => {
                    file = Some(field.bytes().await.map_err(refused)?.into());
                }
                name @ ("task_type" | "type" | "file" | "data" | "image" | "text") => {
                    return Err(Problem::invalid_task(format!(
                        "the form's field `{name}` is given twice, or under another name too: send one"
                    )));
                }
                _ => {}
            }
        }
        let file = file.ok_or_else(|| {
            Problem::invalid_task("the form has no file: send the image or the text as the field `file`")
        })?;
        Ok(Self { file, task_type })
    }

    /// The same as a submission to `/v1/tasks`.
    fn into_present(self) -> Value {
        let is_text = match self.task_type {
            Some(task_type) => task_type == "text",
            None => std::str::from_utf8(&self.file).is_ok(),
        };
        if is_text {
            let text = String::from_utf8_lossy(&self.file);
            json!({ "type": TaskType::Sentiment, "input": { "text": text } })
        } else {
            json!({ "type": TaskType::FaceDetection, "input": { "image": STANDARD.encode(&self.file) } })
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PythonStatus {
    Pending,
    Processing,
    Done,
    Failed,
}

impl From<Status> for PythonStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Blocked | Status::Pending => Self::Pending,
            Status::Processing => Self::Processing,
            Status::Completed => Self::Done,
            Status::Failed | Status::Cancelled => Self::Failed,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct StatusView {
    #[schema(inline)]
    status: PythonStatus,
    /// Present once the task is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<SimpleResult>,
    /// Present once the task has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

impl StatusView {
    fn new(task: &Task) -> Result<Self, Problem> {
        Ok(Self {
            status: task.status.into(),
            result: SimpleResult::new(task)?,
            error: failure(task),
        })
    }
}

/// A task's status, and its result once there is one
#[utoipa::path(
    get,
    path = "/status/{id}",
    tag = "earlier systems",
    operation_id = "compat_status",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task's status.", body = inline(StatusView)), (status = 404)),
)]
pub(crate) async fn show_status(NamedTask(task): NamedTask) -> Result<Json<StatusView>, Problem> {
    StatusView::new(&task).map(Json)
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ResultView {
    task_id: TaskId,
    #[schema(inline)]
    status: PythonStatus,
    /// Present once the task is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<SimpleResult>,
    /// Present once the task has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// A task's status, and its result once there is one
#[utoipa::path(
    get,
    path = "/result/{id}",
    tag = "earlier systems",
    operation_id = "compat_result",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task's status.", body = inline(ResultView)), (status = 404)),
)]
pub(crate) async fn show_result(NamedTask(task): NamedTask) -> Result<Json<ResultView>, Problem> {
    Ok(Json(ResultView {
        task_id: task.id,
        status: task.status.into(),
        result: SimpleResult::new(&task)?,
        error: failure(&task),
    }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Worker {
    id: String,
    #[schema(inline)]
    status: WorkerStatus,
    /// In seconds since 1970; 0 if not in the last hour.
    last_seen: f64,
    tasks_in_progress: u64,
}

/// That system's workers sent heartbeats. Here a worker starts when there is work, so that none can be offline.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WorkerStatus {
    Healthy,
}

/// The workers
#[utoipa::path(
    get,
    path = "/workers",
    tag = "earlier systems",
    operation_id = "compat_list_workers",
    responses((status = 200, description = "The workers.", body = inline(Vec<Worker>))),
)]
pub(crate) async fn list_workers(
    state: State<Arc<ApiState>>,
    tenant: Extension<Tenant>,
) -> Result<Json<Vec<Worker>>, Problem> {
    let Json(workers) = workers::list(state, tenant).await?;
    let workers = workers.workers.into_iter().map(|worker| Worker {
        id: worker.name,
        status: WorkerStatus::Healthy,
        last_seen: worker.last_seen.map_or(0.0, |at| at.as_duration().as_secs_f64()),
        tasks_in_progress: worker.running,
    });
    Ok(Json(workers.collect()))
}

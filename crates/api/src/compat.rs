//! The routes of the four systems that AI Mesh replaces, so that their clients keep working. Each request becomes one of
//! the present API's, and each answer is put into the words of the earlier one; docs/COMPAT.md says where they differ.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::rejection::QueryRejection;
use axum::extract::{
    DefaultBodyLimit, FromRequest, FromRequestParts, Multipart, Path, Query, Request, State,
};
use axum::middleware;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::request::Parts;
use mesh_http::auth::{self, CompatAccess};
use mesh_http::limits::MAX_BODY_BYTES;
use mesh_http::{JsonBody, Problem};
use mesh_task::{Status, TaskId, TaskType, Tenant, UploadId};
use serde_json::{Value, json};

use crate::app::Api;
use crate::tasks::{Submitter, TaskView, list_page, take, upload_type};
use crate::{stats, workers};

/// The task types of `/api/v1/tasks`.
const PLATFORM_TYPES: [TaskType; 4] = [
    TaskType::Summarize,
    TaskType::Translate,
    TaskType::Classify,
    TaskType::DataExtraction,
];

type Answer = Result<Json<Value>, Problem>;
type Accepted = Result<(StatusCode, Json<Value>), Problem>;

/// All of them. Those whose system knew no token need none where the stack lends them a tenant.
pub(crate) fn router(api: &Api) -> Router<Arc<Api>> {
    let open = Router::new()
        .route("/submit", post(submit))
        .route("/submit-task", post(submit))
        .route("/enqueue", post(enqueue))
        .route("/status/{id}", get(status))
        .route("/workers", get(list_workers))
        .route("/result/{id}", get(show))
        .route("/task", post(submit_task))
        .route("/task/{id}", get(show_task))
        .route("/jobs", post(submit_job).get(list_jobs))
        .route("/jobs/{id}", get(show_job))
        .route("/admin/stats", get(job_stats))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route_layer(middleware::from_fn_with_state(
            CompatAccess {
                token: api.token.clone(),
                anonymous: api.compat_tenant.clone(),
            },
            auth::allow_anonymous_compat,
        ));
    let closed = Router::new()
        .route("/api/v1/tasks", post(submit_platform))
        .route("/api/v1/tasks/{id}", get(show_platform))
        .route_layer(middleware::from_fn_with_state(
            api.token.clone(),
            auth::require_token,
        ));
    open.merge(closed)
}

// --- AI Mesh in Python -------------------------------------------------------------------------------------------------

async fn submit(State(api): State<Arc<Api>>, by: Submitter, JsonBody(body): JsonBody) -> Accepted {
    let task = take(&api, by, simple(&body)?).await?;
    accepted(json!({ "task_id": task.id }))
}

/// A form: `file` holds a picture or a text; `task_type` may say which.
async fn enqueue(
    State(api): State<Arc<Api>>,
    by: Submitter,
    form: Result<Multipart, MultipartRejection>,
) -> Accepted {
    let form = form.map_err(|error| Problem::invalid_task(error.body_text()))?;
    let body = read_form(form).await?;
    let task = take(&api, by, body).await?;
    accepted(json!({ "task_id": task.id }))
}

async fn read_form(mut form: Multipart) -> Result<Value, Problem> {
    let refused = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::payload_too_large(MAX_BODY_BYTES + 1, MAX_BODY_BYTES),
        _ => Problem::invalid_task(error.body_text()),
    };
    let (mut kind, mut content) = (None, None);
    while let Some(field) = form.next_field().await.map_err(refused)? {
        match field.name().unwrap_or_default() {
            "task_type" | "type" => kind = Some(field.text().await.map_err(refused)?),
            "file" | "data" | "image" | "text" => content = Some(field.bytes().await.map_err(refused)?),
            _ => {}
        }
    }
    let content = content.ok_or_else(|| {
        Problem::invalid_task("the form has no file: send the image or the text as the field `file`")
    })?;
    let is_text = kind.map_or_else(|| std::str::from_utf8(&content).is_ok(), |kind| kind == "text");
    Ok(if is_text {
        let text = String::from_utf8_lossy(&content);
        json!({ "type": TaskType::Sentiment, "input": { "text": text } })
    } else {
        json!({ "type": TaskType::FaceDetection, "input": { "image": STANDARD.encode(&content) } })
    })
}

/// `{"type": "text" | "image", "data": ...}` in the present words.
fn simple(body: &Value) -> Result<Value, Problem> {
    match (body["type"].as_str(), &body["data"]) {
        (Some("text"), Value::String(text)) => {
            Ok(json!({ "type": TaskType::Sentiment, "input": { "text": text } }))
        }
        (Some("image"), Value::String(image)) => {
            Ok(json!({ "type": TaskType::FaceDetection, "input": { "image": image } }))
        }
        _ => Err(Problem::invalid_task(
            r#"the body is not a task: send {"type": "text", "data": "..."} or {"type": "image", "data": "<base64>"}"#,
        )),
    }
}

async fn status(task: Shown) -> Answer {
    let Json(mut shown) = show(task).await?;
    if let Value::Object(fields) = &mut shown {
        fields.remove("task_id");
    }
    Ok(Json(shown))
}

async fn show(task: Shown) -> Answer {
    let status = match task.status {
        Status::Completed => "done",
        status => platform_status(status),
    };
    let mut shown = json!({ "task_id": task["id"], "status": status });
    task.end(&mut shown);
    Ok(Json(shown))
}

/// Theirs beat each few seconds; here none is there to be offline.
async fn list_workers(state: State<Arc<Api>>, tenant: Extension<Tenant>) -> Answer {
    let Json(workers) = workers::list(state, tenant).await?;
    let told = workers.workers.into_iter().map(|worker| {
        let seen = worker.last_seen.map_or(0.0, |at| at.as_duration().as_secs_f64());
        json!({ "id": worker.name, "status": "healthy", "last_seen": seen, "tasks_in_progress": worker.running })
    });
    Ok(Json(told.collect()))
}

fn simple_result(task: &Shown) -> Value {
    let result = &task["result"];
    match task.task_type {
        TaskType::Sentiment => {
            // These systems knew two labels: what is too close to call leans one way still.
            let positive = result["positive"].as_f64().unwrap_or_default();
            let (label, score) = if positive >= 0.5 {
                ("POSITIVE", positive)
            } else {
                ("NEGATIVE", 1.0 - positive)
            };
            json!({ "label": label, "score": score })
        }
        TaskType::FaceDetection => json!({ "faces": result["count"] }),
        _ => result.clone(),
    }
}

// --- The mini task queue -----------------------------------------------------------------------------------------------

/// What that system ran for a request without a body.
const SAMPLE: &str = "Sample background task";

async fn submit_task(State(api): State<Arc<Api>>, by: Submitter, request: Request) -> Accepted {
    let body = if request.body().is_end_stream() {
        json!({ "type": "text", "data": SAMPLE })
    } else {
        let JsonBody(body) = JsonBody::from_request(request, &()).await?;
        body
    };
    let task = take(&api, by, simple(&body)?).await?;
    accepted(json!({ "task_id": task.id, "status": "submitted" }))
}

async fn show_task(task: Shown) -> Answer {
    let status = match task.status {
        Status::Processing => "running",
        status => platform_status(status),
    };
    let mut shown = json!({
        "id": task["id"], "task_id": task["id"], "status": status, "data": task["input"]["text"],
    });
    task.end(&mut shown);
    Ok(Json(shown))
}

// --- AI TaskFlow -------------------------------------------------------------------------------------------------------

async fn submit_platform(State(api): State<Arc<Api>>, by: Submitter, JsonBody(body): JsonBody) -> Accepted {
    let task_type = body["task_type"].as_str().and_then(|name| name.parse().ok());
    let Some(task_type) = task_type.filter(|task_type| PLATFORM_TYPES.contains(task_type)) else {
        let names = PLATFORM_TYPES.map(TaskType::as_str).join(", ");
        return Err(Problem::invalid_task(format!(
            r#"unknown task_type: send {{"task_type": "...", "input": {{...}}}} with one of {names}"#
        )));
    };
    let mut input = body["input"].clone();
    rename(&mut input, "categories", "labels");
    let task = take(&api, by, json!({ "type": task_type, "input": input })).await?;
    accepted(json!({
        "id": task.id, "task_type": task_type, "status": platform_status(task.status), "input": body["input"],
    }))
}

async fn show_platform(task: Shown) -> Answer {
    let mut input = task["input"].clone();
    rename(&mut input, "labels", "categories");
    let result = match task.failure() {
        Some(message) => json!({ "error": message }),
        None => platform_result(&task),
    };
    let mut shown = json!({
        "id": task["id"], "task_type": task.task_type, "status": platform_status(task.status), "input": input,
        "result": result, "created_at": task["created_at"], "updated_at": task["updated_at"],
    });
    if let Some(link) = task.view.get("result_link") {
        shown["output_url"] = link["url"].clone();
    }
    Ok(Json(shown))
}

fn platform_result(task: &Shown) -> Value {
    let part = match task.task_type {
        TaskType::Summarize => "summary",
        TaskType::Classify => "label",
        TaskType::Translate | TaskType::Ocr | TaskType::Transcribe => "text",
        TaskType::DataExtraction => "fields",
        _ => return task["result"].clone(),
    };
    task["result"][part].clone()
}

const fn platform_status(status: Status) -> &'static str {
    match status {
        Status::Blocked | Status::Pending => "pending",
        Status::Processing => "processing",
        Status::Completed => "completed",
        Status::Failed | Status::Cancelled => "failed",
    }
}

fn rename(input: &mut Value, from: &str, to: &str) {
    if let Value::Object(fields) = input
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

// --- The job platform on Celery ----------------------------------------------------------------------------------------

async fn submit_job(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    by: Submitter,
    JsonBody(body): JsonBody,
) -> Accepted {
    let path = body["input_file_path"].as_str().unwrap_or_default();
    let id: UploadId = path.rsplit('/').next().unwrap_or_default().parse().map_err(|_| {
        Problem::invalid_task(
            r#"input_file_path is not an upload: send {"input_file_path": "uploads/ID"} with the id from POST /v1/uploads"#,
        )
    })?;
    // Whatever tenant the path names, the upload is looked for among the caller's own.
    let task_type = upload_type(&api, &tenant, id).await?;
    let task = take(&api, by, json!({ "type": task_type, "input": { "upload": id } })).await?;
    accepted(json!({
        "id": task.id, "status": platform_status(task.status), "input_file_path": format!("uploads/{id}"),
    }))
}

async fn list_jobs(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|error| Problem::invalid_query(error.body_text()))?;
    let page = list_page(&api, &tenant, query).await?;
    let page = serde_json::to_value(page).map_err(Problem::unwritable)?;
    let jobs = page["tasks"].as_array().into_iter().flatten().map(|task| {
        let status = task["status"]
            .as_str()
            .and_then(Status::named)
            .map(platform_status);
        json!({
            "id": task["id"], "status": status, "error_message": task["error"]["message"],
            "created_at": task["created_at"], "updated_at": task["updated_at"],
        })
    });
    Ok(Json(
        json!({ "jobs": jobs.collect::<Vec<_>>(), "next_cursor": page["next_cursor"] }),
    ))
}

async fn show_job(task: Shown) -> Answer {
    // Below the tenant's own folder.
    let key = task["input"]["object"]["key"].as_str();
    let path = key.and_then(|key| key.split_once('/')).map(|(_, path)| path);
    let mut job = json!({
        "id": task["id"], "status": platform_status(task.status), "input_file_path": path,
        "result": null, "error_message": task.failure(),
        "created_at": task["created_at"], "updated_at": task["updated_at"],
    });
    if task.status == Status::Completed {
        job["result"] = json!({ "output": platform_result(&task) });
        if let Some(link) = task.view.get("result_link") {
            job["result"]["output_url"] = link["url"].clone();
        }
    }
    Ok(Json(job))
}

async fn job_stats(state: State<Arc<Api>>, tenant: Extension<Tenant>) -> Answer {
    let Json(stats) = stats::show(state, tenant).await?;
    let stats = serde_json::to_value(stats).map_err(Problem::unwritable)?;
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for status in Status::ALL {
        let count = stats["by_status"][status.as_str()].as_u64().unwrap_or(0);
        *counts.entry(platform_status(status)).or_default() += count;
    }
    Ok(Json(json!({ "total": stats["total"], "by_status": counts })))
}

// --- All of them -------------------------------------------------------------------------------------------------------

fn accepted(body: Value) -> Accepted {
    Ok((StatusCode::ACCEPTED, Json(body)))
}

/// A task as the present API shows it.
struct Shown {
    task_type: TaskType,
    status: Status,
    view: Value,
}

impl std::ops::Index<&str> for Shown {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        &self.view[name]
    }
}

impl Shown {
    /// Adds what came of it: a result, or an error.
    fn end(&self, shown: &mut Value) {
        if self.status == Status::Completed {
            shown["result"] = simple_result(self);
        } else if let Some(message) = self.failure() {
            shown["error"] = json!(message);
        }
    }

    /// Why it will have no result, if so.
    fn failure(&self) -> Option<&str> {
        match self.status {
            Status::Failed => Some(self["error"]["message"].as_str().unwrap_or("it failed")),
            Status::Cancelled => Some("it was cancelled"),
            _ => None,
        }
    }
}

/// The task that the path names.
impl FromRequestParts<Arc<Api>> for Shown {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, api).await.ok();
        let id: Option<TaskId> = id.and_then(|Path(id)| id.parse().ok());
        let tenant = parts.extensions.get::<Tenant>();
        let (id, tenant) = id.zip(tenant).ok_or_else(Problem::task_not_found)?;
        let task = api.table.get(tenant, id).await?;
        let task = task.ok_or_else(Problem::task_not_found)?;
        let (task_type, status) = (task.task_type, task.status);
        let view = serde_json::to_value(TaskView::of(task, api).await?);
        let view = view.map_err(Problem::unwritable)?;
        Ok(Self {
            task_type,
            status,
            view,
        })
    }
}

//! The job platform on Celery.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use jiff::Timestamp;
use mesh_http::{JsonBody, Problem};
use mesh_task::{Payload, Status, TaskId, TaskSummary, Tenant, UploadId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Accepted, NamedTask, SharedStatus, accepted, failure, main_part, output_url, parse};
use crate::state::ApiState;
use crate::submission::Submitter;
use crate::{stats, tasks};

#[derive(Deserialize, ToSchema)]
struct Submission {
    #[schema(examples("uploads/ID"))]
    input_file_path: String,
}

impl Submission {
    /// The upload that a body names. Whatever tenant its path has, the upload is looked up among the caller's own.
    fn parse(body: Value) -> Result<UploadId, Problem> {
        let refusal = r#"input_file_path is not an upload: send {"input_file_path": "uploads/ID"} with the id from POST /v1/uploads"#;
        let Self { input_file_path } = parse(body, refusal)?;
        let id = input_file_path.rsplit('/').next().unwrap_or_default().parse();
        id.map_err(|_| Problem::invalid_task(refusal))
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Submitted {
    id: TaskId,
    #[schema(inline)]
    status: SharedStatus,
    input_file_path: String,
}

/// Submit an uploaded file: a text to be summarized, a picture or a recording to be read
#[utoipa::path(
    post,
    path = "/jobs",
    tag = "earlier systems",
    operation_id = "compat_create_job",
    request_body = inline(Submission),
    responses((status = 202, description = "The task is accepted.", body = inline(Submitted))),
)]
pub(crate) async fn submit(submitter: Submitter, JsonBody(body): JsonBody) -> Accepted<Submitted> {
    let id = Submission::parse(body)?;
    let task_type = submitter.upload_type(id).await?;
    let body = json!({ "type": task_type, "input": { "upload": id } });
    let task = submitter.create(body).await?;
    accepted(Submitted {
        id: task.id,
        status: task.status.into(),
        input_file_path: format!("uploads/{id}"),
    })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct JobPage {
    #[schema(inline)]
    jobs: Vec<ListedJob>,
    /// Null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ListedJob {
    id: TaskId,
    #[schema(inline)]
    status: SharedStatus,
    #[schema(required)]
    error_message: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<TaskSummary> for ListedJob {
    fn from(task: TaskSummary) -> Self {
        Self {
            id: task.id,
            status: task.status.into(),
            error_message: task.error.map(|error| error.message),
            created_at: task.created_at,
            updated_at: task.updated_at,
        }
    }
}

/// The tasks, newest first, page by page
#[utoipa::path(
    get,
    path = "/jobs",
    tag = "earlier systems",
    operation_id = "compat_list_jobs",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, pattern = "^[0-9a-f]{48}$"),
    ),
    responses((status = 200, description = "A page of tasks.", body = inline(JobPage)), (status = 400)),
)]
pub(crate) async fn list(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<JobPage>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_query(error.body_text()))?;
    let page = tasks::list::page(&api, &tenant, query).await?;
    Ok(Json(JobPage {
        jobs: page.tasks.into_iter().map(ListedJob::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Job {
    id: TaskId,
    #[schema(inline)]
    status: SharedStatus,
    /// Null if the input is not an upload.
    #[schema(required)]
    input_file_path: Option<String>,
    /// Null before the task is completed.
    #[schema(inline, required)]
    result: Option<JobResult>,
    #[schema(required)]
    error_message: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct JobResult {
    /// The main part of the result. Null if it is too large for the task's item.
    output: Value,
    /// The signed address of a result that is too large for the task's item.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    output_url: Option<String>,
}

/// A task, with its result once there is one
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    tag = "earlier systems",
    operation_id = "compat_show_job",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task.", body = inline(Job)), (status = 404)),
)]
pub(crate) async fn show(
    State(api): State<Arc<ApiState>>,
    NamedTask(task): NamedTask,
) -> Result<Json<Job>, Problem> {
    // The path below the tenant's own folder.
    let input_file_path = match &task.payload {
        Payload::Object { object, .. } => object.key.split_once('/').map(|(_, path)| path.to_owned()),
        Payload::Inline(_) => None,
    };
    let result = if task.status == Status::Completed {
        Some(JobResult {
            output: main_part(task.result.as_ref())?,
            output_url: output_url(&task, &api).await?,
        })
    } else {
        None
    };
    Ok(Json(Job {
        id: task.id,
        status: task.status.into(),
        input_file_path,
        result,
        error_message: failure(&task),
        created_at: task.created_at,
        updated_at: task.updated_at,
    }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct JobStats {
    total: u64,
    pending: u64,
    processing: u64,
    completed: u64,
    failed: u64,
    #[schema(inline)]
    by_status: JobCounts,
}

#[derive(Default, Serialize, ToSchema)]
struct JobCounts {
    pending: u64,
    processing: u64,
    completed: u64,
    failed: u64,
}

/// How many tasks there are
#[utoipa::path(
    get,
    path = "/admin/stats",
    tag = "earlier systems",
    operation_id = "compat_job_stats",
    responses((status = 200, description = "The counts.", body = inline(JobStats))),
)]
pub(crate) async fn show_stats(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
) -> Result<Json<JobStats>, Problem> {
    let counters = api.counters.counters(&tenant).await?;
    let (mut total, mut by_status) = (0, JobCounts::default());
    for (status, count) in stats::count_by_status(&counters) {
        total += count;
        *match status.into() {
            SharedStatus::Pending => &mut by_status.pending,
            SharedStatus::Processing => &mut by_status.processing,
            SharedStatus::Completed => &mut by_status.completed,
            SharedStatus::Failed => &mut by_status.failed,
        } += count;
    }
    Ok(Json(JobStats {
        total,
        pending: by_status.pending,
        processing: by_status.processing,
        completed: by_status.completed,
        failed: by_status.failed,
        by_status,
    }))
}

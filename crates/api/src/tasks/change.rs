//! `POST /v1/tasks/{id}/cancel` and `/retry`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use mesh_api_types::TaskView;
use mesh_backend::WriteOutcome;
use mesh_http::Problem;
use mesh_task::{Status, TaskId, Tenant};

use crate::redrive::redrive;
use crate::state::ApiState;
use crate::tasks::{parse_id, task_view};

/// Cancels a task that is not final. A running attempt's result is discarded.
#[utoipa::path(
    post,
    path = "/tasks/{id}/cancel",
    tag = "tasks",
    operation_id = "cancel_task",
    params(("id" = TaskId, Path, description = "The task's id.")),
    responses((status = 200, description = "The cancelled task.", body = TaskView), (status = 404), (status = 409)),
)]
pub(crate) async fn cancel(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<TaskView>, Problem> {
    let id = parse_id(id)?;
    let cancel = mesh_task::cancel(Timestamp::now());
    match api.tasks.write(&tenant, id, &cancel).await? {
        WriteOutcome::Applied(task) => Ok(Json(task_view(*task, &api).await?)),
        WriteOutcome::ConditionFailed(Some(task)) => Err(Problem::task_is_final(task.status)),
        WriteOutcome::ConditionFailed(None) => Err(Problem::task_not_found()),
    }
}

/// Gives a failed or cancelled task a new generation of attempts.
#[utoipa::path(
    post,
    path = "/tasks/{id}/retry",
    tag = "tasks",
    operation_id = "retry_task",
    params(("id" = TaskId, Path, description = "The task's id.")),
    responses((status = 202, description = "The task, which is pending again.", body = TaskView), (status = 404), (status = 409)),
)]
pub(crate) async fn retry(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    id: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<TaskView>), Problem> {
    let id = parse_id(id)?;
    let task = api.tasks.get(&tenant, id).await?;
    let task = task.ok_or_else(Problem::task_not_found)?;
    if !matches!(task.status, Status::Failed | Status::Cancelled) {
        return Err(Problem::task_not_retryable(task.status));
    }
    match redrive(&api, &task).await? {
        WriteOutcome::Applied(task) => Ok((StatusCode::ACCEPTED, Json(task_view(*task, &api).await?))),
        WriteOutcome::ConditionFailed(Some(task)) => Err(Problem::task_not_retryable(task.status)),
        WriteOutcome::ConditionFailed(None) => Err(Problem::task_not_found()),
    }
}

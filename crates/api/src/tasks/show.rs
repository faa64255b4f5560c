//! `GET /v1/tasks/{id}`: one task, at once or when it is final.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use mesh_api_types::TaskView;
use mesh_http::{Deadline, PollInterval, Problem};
use mesh_task::{TaskId, Tenant};
use serde::Deserialize;

use crate::state::ApiState;
use crate::tasks::{parse_id, task_view};
use crate::wait::Wait;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    wait: Option<String>,
}

/// Returns a task. With `?wait=SECONDS`, the answer waits until the task is final or the time is up.
#[utoipa::path(
    get,
    path = "/tasks/{id}",
    tag = "tasks",
    operation_id = "show_task",
    params(("id" = TaskId, Path, description = "The task's id."), ("wait" = Option<u32>, Query, description = "How many seconds the answer waits for the task to become final.", maximum = 20)),
    responses((status = 200, description = "The task.", body = TaskView), (status = 400), (status = 404)),
)]
pub(crate) async fn show(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    Deadline(deadline): Deadline,
    id: Result<Path<String>, PathRejection>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<TaskView>, Problem> {
    let id = parse_id(id)?;
    let Query(params) = params.map_err(|error| Problem::invalid_query(error.body_text()))?;
    let mut wait = Wait::new(params.wait.as_deref(), deadline, PollInterval::of_task())?;
    loop {
        // Before the read, so that no change falls in between.
        let changed = api.tasks.changed(id);
        let task = api.tasks.get(&tenant, id).await?;
        let task = task.ok_or_else(Problem::task_not_found)?;
        if task.status.is_final() || !wait.again(changed).await {
            return Ok(Json(task_view(task, &api).await?));
        }
    }
}

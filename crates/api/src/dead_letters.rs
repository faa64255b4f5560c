//! Dead letters: tasks that failed although they could have been retried. `GET /v1/dead-letters` lists them, and
//! `POST /v1/dead-letters/redrive` gives them new attempts.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use mesh_api_types::{DeadLetterList, RedriveRequest, RedriveResponse};
use mesh_http::{Deadline, JsonBody, Problem, ProblemKind};
use mesh_task::{IdRange, Task, TaskId, TaskType, Tenant};
use serde::Deserialize;
use tokio::time::Instant;

use crate::query::{MAX_LIST_TIME, parse_limit, parse_type};
use crate::redrive::redrive_all;
use crate::state::ApiState;
use crate::tasks::task_view;

/// How many failed tasks a list reads by default.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    #[serde(rename = "type")]
    task_type: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Lists dead letters, newest first. A request reads a bounded number of failed tasks, and tasks that failed permanently are
/// not dead letters: a page may be short, or empty, although more pages follow.
#[utoipa::path(
    get,
    path = "/dead-letters",
    tag = "dead letters",
    operation_id = "list_dead_letters",
    params(
        ("type" = Option<TaskType>, Query, description = "Only tasks of this type."),
        ("limit" = Option<u32>, Query, description = "How many failed tasks are read; 50 by default.", minimum = 1, maximum = 100),
        ("cursor" = Option<TaskId>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page. It may be short, or empty, although more pages follow.", body = DeadLetterList), (status = 400)),
)]
pub(crate) async fn list(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<DeadLetterList>, Problem> {
    let Query(params) = params.map_err(|error| Problem::invalid_query(error.body_text()))?;
    let task_type = params.task_type.as_deref().map(parse_type).transpose()?;
    let limit = params
        .limit
        .as_deref()
        .map_or(Ok(DEFAULT_LIMIT), |limit| parse_limit(limit, MAX_LIMIT))?;
    let cursor = params.cursor.as_deref().map(parse_cursor).transpose()?;
    let page = page(&api, &tenant, cursor, limit).await?;
    let mut dead_letters = Vec::new();
    for task in page.tasks {
        if task.is_dead_letter() && task_type.is_none_or(|wanted| wanted == task.task_type) {
            dead_letters.push(task_view(task, &api).await?);
        }
    }
    Ok(Json(DeadLetterList {
        dead_letters,
        next_cursor: page.next,
    }))
}

/// Gives a bounded number of dead letters a new generation of attempts. If the answer has a `next_cursor`, the same request
/// with that cursor continues.
#[utoipa::path(
    post,
    path = "/dead-letters/redrive",
    tag = "dead letters",
    operation_id = "redrive_dead_letters",
    request_body = RedriveRequest,
    responses((status = 200, description = "The tasks that were redriven.", body = RedriveResponse)),
)]
pub(crate) async fn redrive(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    Deadline(deadline): Deadline,
    JsonBody(body): JsonBody,
) -> Result<Json<RedriveResponse>, Problem> {
    let shape = r#"send {"ids": [...]}, {"type": "..."} or {"all": true}; the last two may have a cursor"#;
    let refuse = |why: &str| Problem::new(ProblemKind::InvalidRedrive, format!("{why}: {shape}"));
    if !body.is_object() {
        // Serde would also accept an array, by the order of the fields.
        return Err(refuse("the body is not a JSON object"));
    }
    let selection: RedriveRequest =
        serde_json::from_value(body).map_err(|error| refuse(&error.to_string()))?;
    let ways = [
        selection.ids.is_some(),
        selection.task_type.is_some(),
        selection.all,
    ];
    if ways.into_iter().filter(|given| *given).count() != 1 {
        return Err(refuse(
            "the body has none, or more than one, of `ids`, `type` and `all`",
        ));
    }
    if let Some(ids) = selection.ids {
        if ids.len() > MAX_LIMIT || selection.cursor.is_some() {
            return Err(refuse(&format!(
                "`ids` takes up to {MAX_LIMIT} ids, without a cursor"
            )));
        }
        return by_ids(&api, &tenant, ids, deadline).await;
    }
    let task_type = selection.task_type.as_deref().map(parse_type).transpose()?;
    let cursor = selection.cursor.as_deref().map(parse_cursor).transpose()?;
    let page = page(&api, &tenant, cursor, MAX_LIMIT).await?;
    let wanted = page
        .tasks
        .into_iter()
        .filter(|task| task.is_dead_letter() && task_type.is_none_or(|wanted| wanted == task.task_type));
    let wanted: Vec<_> = wanted.collect();
    let redriven = redrive_all(&api, &wanted, deadline).await?;
    Ok(Json(RedriveResponse {
        redriven,
        skipped: Vec::new(),
        next_cursor: page.next,
    }))
}

async fn by_ids(
    api: &ApiState,
    tenant: &Tenant,
    ids: Vec<String>,
    deadline: Instant,
) -> Result<Json<RedriveResponse>, Problem> {
    let parsed: Vec<TaskId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let tasks = read(api, tenant, &parsed).await?;
    let wanted: Vec<_> = tasks.into_iter().filter(Task::is_dead_letter).collect();
    let redriven = redrive_all(api, &wanted, deadline).await?;
    let skipped = ids
        .into_iter()
        .filter(|id| !redriven.iter().any(|done| done.to_string() == *id));
    Ok(Json(RedriveResponse {
        skipped: skipped.collect(),
        redriven,
        next_cursor: None,
    }))
}

struct Page {
    tasks: Vec<Task>,
    next: Option<TaskId>,
}

/// The next failed tasks of a tenant, newest first.
async fn page(
    api: &ApiState,
    tenant: &Tenant,
    before: Option<TaskId>,
    limit: usize,
) -> Result<Page, Problem> {
    let range = before.map_or(IdRange::ALL, |before| IdRange::ALL.below(before));
    let until = Instant::now() + MAX_LIST_TIME;
    let failed = api.tasks.failed_ids(tenant, range, limit, until).await?;
    let tasks = read(api, tenant, &failed.entries).await?;
    let next = failed.next;
    Ok(Page { tasks, next })
}

/// Reads tasks, and sorts them newest first.
async fn read(api: &ApiState, tenant: &Tenant, ids: &[TaskId]) -> Result<Vec<Task>, Problem> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let keys = ids.into_iter().map(|id| (tenant.clone(), id)).collect();
    let mut tasks = api.tasks.get_many(keys).await?;
    tasks.sort_unstable_by_key(|task| Reverse(task.id));
    Ok(tasks)
}

fn parse_cursor(given: &str) -> Result<TaskId, Problem> {
    let refuse =
        |_| Problem::invalid_query("cursor is invalid: send the next_cursor of a response unchanged");
    given.parse().map_err(refuse)
}

//! Dead letters: tasks whose attempts were all in vain. They are listed, and given new attempts.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_aws::WriteOutcome;
use mesh_http::{Deadline, JsonBody, Problem, ProblemKind};
use mesh_task::{IdRange, Task, TaskId, TaskType, Tenant};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::Api;
use crate::query::{parse_limit, parse_type};
use crate::tasks::TaskView;

/// How many failed tasks one request looks at, unless it says less.
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

/// A page of tasks whose attempts were all in vain, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    dead_letters: Vec<TaskView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<TaskId>,
}

/// Lists dead letters, newest first. A page may be short, or empty, with more to follow: it looks at a bounded number of
/// failed tasks, and those that failed for good are no dead letters.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    tag = "dead letters",
    operation_id = "list_dead_letters",
    params(
        ("type" = Option<TaskType>, Query, description = "Only tasks of this type."),
        ("limit" = Option<u32>, Query, description = "How many failed tasks are looked at; 50 if it is left out.", minimum = 1, maximum = 100),
        ("cursor" = Option<TaskId>, Query, description = "The `next_cursor` of an answer."),
    ),
    responses((status = 200, description = "A page; it may be short, or empty, with more to follow.", body = DeadLetters), (status = 400)),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<DeadLetters>, Problem> {
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
            dead_letters.push(TaskView::of(task, &api).await?);
        }
    }
    Ok(Json(DeadLetters {
        dead_letters,
        next_cursor: page.next,
    }))
}

/// Which dead letters are redriven: exactly one of `ids`, `type` and `all` says it.
#[derive(Deserialize, ToSchema)]
#[schema(as = Redrive, example = json!({ "all": true }))]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[schema(max_items = 100)]
    ids: Option<Vec<String>>,
    #[serde(rename = "type")]
    #[schema(value_type = Option<TaskType>)]
    task_type: Option<String>,
    #[serde(default)]
    all: bool,
    /// The `next_cursor` of an answer, to go on; not with `ids`.
    cursor: Option<String>,
}

/// What was redriven. With a `next_cursor`, the same request with that cursor goes on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redriven {
    redriven: Vec<TaskId>,
    /// Those that were named and are no dead letters, or not any more.
    skipped: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<TaskId>,
}

/// Gives a bounded number of dead letters a new generation of attempts. With a
/// `next_cursor` in its answer, the same request with that cursor goes on.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/redrive",
    tag = "dead letters",
    operation_id = "redrive_dead_letters",
    request_body = Which,
    responses((status = 200, description = "What was redriven.", body = Redriven)),
)]
pub(crate) async fn redrive(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    Deadline(until): Deadline,
    JsonBody(body): JsonBody,
) -> Result<Json<Redriven>, Problem> {
    let shape = r#"send {"ids": [...]}, {"type": "..."} or {"all": true}; the last two may have a cursor"#;
    let refuse = |why: &str| Problem::new(ProblemKind::InvalidRedrive, format!("{why}: {shape}"));
    if !body.is_object() {
        // Serde would also take an array, by the order of the fields.
        return Err(refuse("the body is not a JSON object"));
    }
    let which: Which = serde_json::from_value(body).map_err(|error| refuse(&error.to_string()))?;
    let ways = [which.ids.is_some(), which.task_type.is_some(), which.all];
    if ways.into_iter().filter(|given| *given).count() != 1 {
        return Err(refuse(
            "the body has none, or more than one, of `ids`, `type` and `all`",
        ));
    }
    if let Some(ids) = which.ids {
        if ids.len() > MAX_LIMIT || which.cursor.is_some() {
            return Err(refuse(&format!(
                "`ids` takes up to {MAX_LIMIT} ids, without a cursor"
            )));
        }
        return by_ids(&api, &tenant, ids, until).await;
    }
    let task_type = which.task_type.as_deref().map(parse_type).transpose()?;
    let cursor = which.cursor.as_deref().map(parse_cursor).transpose()?;
    let page = page(&api, &tenant, cursor, MAX_LIMIT).await?;
    let wanted = page
        .tasks
        .into_iter()
        .filter(|task| task.is_dead_letter() && task_type.is_none_or(|wanted| wanted == task.task_type));
    let redriven = redrive_all(&api, wanted.collect(), until).await?;
    Ok(Json(Redriven {
        redriven,
        skipped: Vec::new(),
        next_cursor: page.next,
    }))
}

async fn by_ids(
    api: &Api,
    tenant: &Tenant,
    ids: Vec<String>,
    until: Instant,
) -> Result<Json<Redriven>, Problem> {
    let parsed: Vec<TaskId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let tasks = read(api, tenant, &parsed).await?;
    let wanted = tasks.into_iter().filter(Task::is_dead_letter).collect();
    let redriven = redrive_all(api, wanted, until).await?;
    let skipped = ids
        .into_iter()
        .filter(|id| !redriven.iter().any(|done| done.to_string() == *id));
    Ok(Json(Redriven {
        skipped: skipped.collect(),
        redriven,
        next_cursor: None,
    }))
}

/// Redrives each task and rings for it. One whose message is not taken is left to the janitor. Where some could not be
/// written the others are rung for all the same: the same request again goes on with those that are left.
async fn redrive_all(api: &Api, tasks: Vec<Task>, until: Instant) -> Result<Vec<TaskId>, Problem> {
    let now = Timestamp::now();
    let writes = tasks.iter().map(async |task| {
        let redrive = task.redrive(api.sweep_policy.first_check_at(now), now + api.retention, now);
        api.table.write(&task.tenant, task.id, &redrive).await
    });
    let mut redriven = Vec::new();
    let mut messages = Vec::new();
    let mut failed = None;
    for written in join_all(writes).await {
        match written {
            Ok(WriteOutcome::Applied(task)) => {
                redriven.push(task.id);
                messages.push((task.lane(), task.message()));
            }
            Ok(WriteOutcome::ConditionFailed(_)) => {}
            Err(error) => failed = Some(error),
        }
    }
    api.queues.send_batch(messages, until).await;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(redriven),
    }
}

struct Page {
    tasks: Vec<Task>,
    next: Option<TaskId>,
}

/// The next failed tasks of a tenant, newest first.
async fn page(api: &Api, tenant: &Tenant, before: Option<TaskId>, limit: usize) -> Result<Page, Problem> {
    let range = before.map_or(IdRange::ALL, |before| IdRange::ALL.below(before));
    let (ids, next) = api.table.failed_ids(tenant, range, limit).await?;
    let tasks = read(api, tenant, &ids).await?;
    Ok(Page { tasks, next })
}

/// Reads tasks in the order of their ids, newest first.
async fn read(api: &Api, tenant: &Tenant, ids: &[TaskId]) -> Result<Vec<Task>, Problem> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let ids = ids.into_iter().map(|id| (tenant, id));
    let mut tasks = api.table.get_many(ids).await?;
    tasks.sort_unstable_by_key(|task| Reverse(task.id));
    Ok(tasks)
}

fn parse_cursor(given: &str) -> Result<TaskId, Problem> {
    let refuse =
        |_| Problem::invalid_query("cursor is invalid: send the next_cursor of a response unchanged");
    given.parse().map_err(refuse)
}

//! Dead letters: tasks that failed although they could have been retried. `GET /v1/dead-letters` lists them, and
//! `POST /v1/dead-letters/redrive` gives them new attempts.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use mesh_api_types::{DeadLetterList, RedriveRequest, RedriveResponse};
use mesh_backend::ListPage;
use mesh_http::{Deadline, JsonBody, Problem, ProblemKind};
use mesh_task::{IdRange, Task, TaskId, TaskType, Tenant};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::query::{MAX_LIST_TIME, parse_limit, parse_type};
use crate::redrive::redrive_all;
use crate::state::ApiState;
use crate::tasks::task_view;

/// How many failed tasks a list reads by default.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;
/// How many tasks are read at a time: one with a large schema takes megabytes.
const READ_AT_ONCE: usize = 10;
/// The largest answer, as a part of Lambda's, which has 6 MB.
const MAX_ANSWER_BYTES: usize = 5_000_000;

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
    let failed = failed_ids(&api, &tenant, cursor, limit).await?;
    let mut dead_letters = Vec::new();
    let mut room = AnswerRoom::default();
    let mut last = None;
    for ids in failed.entries.chunks(READ_AT_ONCE) {
        for task in read(&api, &tenant, ids).await? {
            let id = task.id;
            if task.is_dead_letter() && task_type.is_none_or(|wanted| wanted == task.task_type) {
                let view = task_view(task, &api).await?;
                if !room.take(&view) && last.is_some() {
                    return Ok(Json(DeadLetterList {
                        dead_letters,
                        next_cursor: last,
                    }));
                }
                dead_letters.push(view);
            }
            last = Some(id);
        }
    }
    Ok(Json(DeadLetterList {
        dead_letters,
        next_cursor: failed.next,
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
    let failed = failed_ids(&api, &tenant, cursor, MAX_LIMIT).await?;
    let is_wanted =
        |task: &Task| task.is_dead_letter() && task_type.is_none_or(|wanted| wanted == task.task_type);
    let redriven = redrive_ids(&api, &tenant, &failed.entries, is_wanted, deadline).await?;
    Ok(Json(RedriveResponse {
        redriven,
        skipped: Vec::new(),
        next_cursor: failed.next,
    }))
}

async fn by_ids(
    api: &ApiState,
    tenant: &Tenant,
    ids: Vec<String>,
    deadline: Instant,
) -> Result<Json<RedriveResponse>, Problem> {
    let mut parsed: Vec<TaskId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    parsed.sort_unstable_by_key(|id| Reverse(*id));
    parsed.dedup();
    let redriven = redrive_ids(api, tenant, &parsed, Task::is_dead_letter, deadline).await?;
    let skipped = ids
        .into_iter()
        .filter(|id| !redriven.iter().any(|done| done.to_string() == *id));
    Ok(Json(RedriveResponse {
        skipped: skipped.collect(),
        redriven,
        next_cursor: None,
    }))
}

/// Redrives the wanted ones of these tasks, a few at a time.
async fn redrive_ids(
    api: &ApiState,
    tenant: &Tenant,
    ids: &[TaskId],
    is_wanted: impl Fn(&Task) -> bool,
    deadline: Instant,
) -> Result<Vec<TaskId>, Problem> {
    let mut redriven = Vec::new();
    for ids in ids.chunks(READ_AT_ONCE) {
        let mut tasks = read(api, tenant, ids).await?;
        tasks.retain(&is_wanted);
        redriven.append(&mut redrive_all(api, &tasks, deadline).await?);
    }
    Ok(redriven)
}

/// The ids of the next failed tasks of a tenant, newest first.
async fn failed_ids(
    api: &ApiState,
    tenant: &Tenant,
    before: Option<TaskId>,
    limit: usize,
) -> Result<ListPage<TaskId>, Problem> {
    let range = before.map_or(IdRange::ALL, |before| IdRange::ALL.below(before));
    let until = Instant::now() + MAX_LIST_TIME;
    Ok(api.tasks.failed_ids(tenant, range, limit, until).await?)
}

/// Reads tasks, and sorts them newest first.
async fn read(api: &ApiState, tenant: &Tenant, ids: &[TaskId]) -> Result<Vec<Task>, Problem> {
    let keys = ids.iter().map(|id| (tenant.clone(), *id)).collect();
    let mut tasks = api.tasks.get_many(keys).await?;
    tasks.sort_unstable_by_key(|task| Reverse(task.id));
    Ok(tasks)
}

/// What is left of an answer's size.
#[derive(Debug)]
struct AnswerRoom(usize);

impl Default for AnswerRoom {
    fn default() -> Self {
        Self(MAX_ANSWER_BYTES)
    }
}

impl AnswerRoom {
    /// Takes the room of a part, and returns whether there was enough.
    fn take(&mut self, part: &impl Serialize) -> bool {
        // Lambda's answer contains the body as a JSON string.
        let text = serde_json::to_string(part).unwrap_or_default();
        let bytes = serde_json::to_string(&text).map_or(usize::MAX, |escaped| escaped.len());
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

fn parse_cursor(given: &str) -> Result<TaskId, Problem> {
    let refuse =
        |_| Problem::invalid_query("cursor is invalid: send the next_cursor of a response unchanged");
    given.parse().map_err(refuse)
}

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_in_the_bytes_of_the_whole_answer() {
        for (character, bytes) in [("a", 1), ("\"", 4), ("\u{1}", 7), ("é", 2)] {
            let mut room = AnswerRoom(1_000 * bytes + 10);
            assert!(room.take(&character.repeat(1_000)), "{character:?}");
            assert!(!room.take(&character.repeat(10)), "{character:?}");
        }
    }

    #[test]
    fn a_page_of_the_largest_dead_letters_fits_into_an_answer() {
        // What the attack's labels take: 100 of 20 quotes and 178 control characters.
        let labels = vec![format!("{}{}", "\"".repeat(20), "\u{1}".repeat(178)); 100];
        let mut room = AnswerRoom::default();
        let fitting = (0..100).take_while(|_| room.take(&labels)).count();
        assert!((30..50).contains(&fitting), "{fitting}");
    }
}

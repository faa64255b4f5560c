//! `POST /v1/tasks/batch`: takes many tasks, each by itself.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use futures_util::StreamExt;
use futures_util::stream::iter;
use http::StatusCode;
use mesh_http::{
    CorrelationId, Deadline, IdempotencyKey, JsonBody, Problem, ProblemDocument, ProblemKind, RequestId,
};
use mesh_task::{NewTask, Status, Task, TaskId, TaskSummary, Tenant};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::submit::{Accepted, Id, Source, check, fingerprint, id_of, keep, prepare};
use crate::app::Api;

/// The most tasks of one batch.
pub(crate) const MAX_BATCH: usize = 1_000;
/// How many tasks have a call of their own under way at once.
const AT_ONCE: usize = 16;

/// What became of each entry of a batch, in their order.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchResults)]
pub(crate) struct Results {
    results: Vec<Entry>,
}

/// What a request for that task alone would have been answered.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchResult)]
struct Entry {
    status: u16,
    /// If it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    task: Option<Accepted>,
    /// If it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<ProblemDocument>,
}

/// A submission that may still be accepted, and its place in the batch.
struct Candidate {
    place: usize,
    id: TaskId,
    new: NewTask,
}

/// How one entry stands: kept, or why it is not.
type Standing = Result<TaskSummary, Problem>;

/// Keeps each task that can be kept and rings for all of them; every entry is answered for itself.
#[utoipa::path(
    post,
    path = "/v1/tasks/batch",
    tag = "tasks",
    operation_id = "submit_batch",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe: for 24 hours the same key with the same body gives what the first request gave.", max_length = 255, pattern = "^[!-~]+$"), ("X-Correlation-Id" = Option<String>, Header, description = "What the logs of all that handle the task shall know it by; if it is left out, the trace id of `traceparent`, else the request's own id.", max_length = 128, pattern = "^[!-~]+$")),
    request_body(content = ref("#/components/schemas/Batch")),
    responses((status = 202, description = "Each entry, accepted or refused for itself, in their order.", body = Results)),
)]
pub(crate) async fn submit_batch(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    Deadline(until): Deadline,
    RequestId(request_id): RequestId,
    IdempotencyKey(key): IdempotencyKey,
    CorrelationId(correlation_id): CorrelationId,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Results>), Problem> {
    let request_sha256 = key.is_some().then(|| fingerprint(&body));
    let checked: Vec<_> = entries(body)?.into_iter().map(check).collect();
    let batch = Batch {
        api: &api,
        source: Source {
            tenant,
            correlation_id,
        },
        until,
    };
    let mut standings: Vec<Option<Standing>> = checked.iter().map(|_| None).collect();
    let mut keepable = Vec::new();
    for (place, checked) in checked.into_iter().enumerate() {
        match checked {
            Ok(new) => keepable.push((place, new)),
            Err(problem) => standings[place] = Some(Err(problem)),
        }
    }
    // As with a single request, one of which nothing can be kept leaves its key free.
    if !keepable.is_empty() {
        for (place, standing) in batch.keep(keepable, key.zip(request_sha256)).await? {
            standings[place] = Some(standing);
        }
    }
    batch.ring(&mut standings).await;
    let entry =
        |standing: Option<Standing>| match standing.unwrap_or_else(|| Err(Problem::service_unavailable())) {
            Ok(task) => Entry {
                status: StatusCode::ACCEPTED.as_u16(),
                task: Some(Accepted::of(&api, task.id, task.task_type, task.status)),
                problem: None,
            },
            Err(problem) => Entry {
                status: problem.status().as_u16(),
                task: None,
                problem: Some(problem.document(&request_id)),
            },
        };
    let results = standings.into_iter().map(entry).collect();
    Ok((StatusCode::ACCEPTED, Json(Results { results })))
}

/// The submissions of a batch, none of them checked.
fn entries(body: Value) -> Result<Vec<Value>, Problem> {
    let shape =
        format!(r#"send {{"tasks": [...]}} with 1 to {MAX_BATCH} tasks, each as POST /v1/tasks takes it"#);
    let refuse = |why: &str| Problem::new(ProblemKind::InvalidBatch, format!("{why}: {shape}"));
    let Value::Object(mut fields) = body else {
        return Err(refuse("the body is not a JSON object"));
    };
    let Some(Value::Array(entries)) = fields.remove("tasks") else {
        return Err(refuse("`tasks` is missing or not a list"));
    };
    if let Some(name) = fields.keys().next() {
        return Err(refuse(&format!("unknown field `{name}`")));
    }
    match entries.len() {
        1..=MAX_BATCH => Ok(entries),
        0 => Err(refuse("`tasks` is empty")),
        many => Err(refuse(&format!("`tasks` has {many} entries"))),
    }
}

struct Batch<'a> {
    api: &'a Api,
    source: Source,
    /// What is not done by then is not done.
    until: Instant,
}

impl Batch<'_> {
    /// Keeps what can be kept. The ids follow from the first, so that a repeat under the same key finds them.
    async fn keep(
        &self,
        keepable: Vec<(usize, NewTask)>,
        key: Option<(String, String)>,
    ) -> Result<Vec<(usize, Standing)>, Problem> {
        let first = match &key {
            Some((key, request_sha256)) => {
                id_of(self.api, &self.source.tenant, key, request_sha256.clone()).await?
            }
            None => Id::New(TaskId::generate()),
        };
        let (Id::New(seed) | Id::Known(seed)) = first;
        let candidate = |(place, new)| Candidate {
            place,
            id: seed.plus(u16::try_from(place).unwrap_or(u16::MAX)),
            new,
        };
        let mut candidates: Vec<_> = keepable.into_iter().map(candidate).collect();
        if key.is_none() {
            return self.keep_unknown(candidates).await;
        }
        let mut standings = Vec::new();
        if matches!(first, Id::Known(_)) {
            let ids: Vec<_> = candidates.iter().map(|candidate| candidate.id).collect();
            let found = self.api.table.summaries(&self.source.tenant, ids).await?;
            let mut found: HashMap<_, _> = found.into_iter().map(|task| (task.id, task)).collect();
            candidates.retain(|candidate| match found.remove(&candidate.id) {
                Some(task) => {
                    standings.push((candidate.place, Ok(task)));
                    false
                }
                None => true,
            });
        }
        standings.append(&mut self.keep_known(candidates).await);
        Ok(standings)
    }

    /// Keeps tasks whose ids nobody else can know: many are written in one call, which asks no condition.
    async fn keep_unknown(&self, candidates: Vec<Candidate>) -> Result<Vec<(usize, Standing)>, Problem> {
        let prepared = iter(candidates)
            .map(async |Candidate { place, id, new }| {
                let prepared = prepare(self.api, &self.source, id, new);
                let prepared = timeout_at(self.until, prepared).await;
                (
                    place,
                    prepared.unwrap_or_else(|_| Err(Problem::service_unavailable())),
                )
            })
            .buffer_unordered(AT_ONCE);
        let prepared: Vec<(usize, Result<Task, Problem>)> = prepared.collect().await;
        let (mut places, mut tasks, mut standings) = (Vec::new(), Vec::new(), Vec::new());
        for (place, prepared) in prepared {
            match prepared {
                Ok(task) => {
                    places.push(place);
                    tasks.push(task);
                }
                Err(problem) => standings.push((place, Err(problem))),
            }
        }
        let written = self.api.table.create_all(&tasks, self.api.retention, self.until);
        let left = written.await?;
        for (place, task) in places.into_iter().zip(tasks) {
            let standing = if left.contains(&task.id) {
                Err(Problem::service_unavailable())
            } else {
                Ok(task.into())
            };
            standings.push((place, standing));
        }
        Ok(standings)
    }

    /// Keeps tasks whose ids another request under the same key knows too, perhaps at this moment. Each write has its
    /// condition: without it, a late one would set back what the other has kept and a worker has run.
    async fn keep_known(&self, candidates: Vec<Candidate>) -> Vec<(usize, Standing)> {
        let kept = iter(candidates)
            .map(async |Candidate { place, id, new }| {
                let kept = keep(self.api, &self.source, id, new);
                let kept = timeout_at(self.until, kept).await;
                let kept = kept.unwrap_or_else(|_| Err(Problem::service_unavailable()));
                (place, kept.map(TaskSummary::from))
            })
            .buffer_unordered(AT_ONCE);
        kept.collect().await
    }

    /// Rings for every task that is pending. One that could not be rung for is not accepted.
    async fn ring(&self, standings: &mut [Option<Standing>]) {
        let kept = standings
            .iter()
            .filter_map(|standing| standing.as_ref()?.as_ref().ok());
        let pending = kept.filter(|task| task.status == Status::Pending);
        let messages: Vec<_> = pending.map(|task| (task.lane(), task.message())).collect();
        let not_rung = self.api.queues.send_batch(messages, self.until).await;
        for standing in standings.iter_mut() {
            if matches!(standing, Some(Ok(task)) if not_rung.contains(&task.id)) {
                *standing = Some(Err(Problem::service_unavailable()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_is_a_list_of_one_to_a_thousand_tasks_and_nothing_else() {
        for tasks in [1, 1_000] {
            let body = json!({ "tasks": vec![json!({}); tasks] });
            assert_eq!(entries(body).unwrap().len(), tasks);
        }
        for body in [
            json!([]),
            json!({}),
            json!({ "tasks": [] }),
            json!({ "tasks": {} }),
            json!({ "tasks": vec![json!({}); 1_001] }),
            json!({ "tasks": [{}], "more": 1 }),
        ] {
            assert_eq!(
                entries(body).unwrap_err().status(),
                StatusCode::UNPROCESSABLE_ENTITY
            );
        }
    }
}

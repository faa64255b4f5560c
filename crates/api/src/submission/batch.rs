//! Creates the tasks of a batch, each accepted or refused by itself.

use std::collections::HashMap;
use std::fmt;

use futures_util::StreamExt;
use futures_util::stream::iter;
use mesh_http::{Problem, ProblemKind, json};
use mesh_task::{NewTask, Status, Task, TaskId, TaskSummary};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::{Checker, RequestTaskId, Submitter};

/// The maximum number of tasks in a batch.
pub(crate) const MAX_BATCH: usize = 1_000;
/// How many tasks are prepared or written by calls of their own at once.
const CONCURRENCY: usize = 16;

/// What became of an entry of a batch: the stored task, or why it is refused.
pub(crate) type EntryOutcome = Result<TaskSummary, Problem>;

/// An entry that passed its check, with its place in the batch.
struct Candidate {
    place: usize,
    id: TaskId,
    new: NewTask,
}

impl Submitter {
    /// Creates each task of a batch that can be created, and returns the outcomes in the order of the entries. An entry
    /// that is not done by the deadline is refused as unavailable, so that the caller sends it again.
    pub(crate) async fn create_batch(
        self,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<EntryOutcome>, Problem> {
        // The other half of the time is for storing the tasks.
        let now = Instant::now();
        let half = now + deadline.saturating_duration_since(now) / 2;
        let entries = entries(json::check_syntax(body)?)?;
        let (checked, request_sha256) = Checker::default().check_all(&entries, half).await;
        let key = self.idempotency_key.clone().map(|key| (key, request_sha256));
        let mut outcomes: Vec<Option<EntryOutcome>> = checked.iter().map(|_| None).collect();
        let mut valid = Vec::new();
        for (place, checked) in checked.into_iter().enumerate() {
            match checked {
                Ok(new) => valid.push((place, new)),
                Err(problem) => outcomes[place] = Some(Err(problem)),
            }
        }
        let batch = Batch {
            submitter: self,
            deadline,
        };
        // A batch without a valid entry leaves its key free, as a single invalid request does.
        if !valid.is_empty() {
            for (place, outcome) in batch.store(valid, key).await? {
                outcomes[place] = Some(outcome);
            }
        }
        batch.send(&mut outcomes).await;
        let outcomes = outcomes.into_iter();
        Ok(outcomes
            .map(|outcome| outcome.unwrap_or_else(|| Err(Problem::service_unavailable())))
            .collect())
    }
}

/// The fields of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    tasks: Entries<'a>,
}

/// The submissions of a batch, unread. There may be more than are kept.
struct Entries<'a> {
    kept: Vec<&'a RawValue>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list as `tasks`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries<'de>, A::Error> {
        let (mut kept, mut count) = (Vec::new(), 0);
        while let Some(entry) = list.next_element()? {
            count += 1;
            if count <= MAX_BATCH {
                kept.push(entry);
            }
        }
        Ok(Entries { kept, count })
    }
}

/// The submissions of a batch, unread.
fn entries(body: &RawValue) -> Result<Vec<&RawValue>, Problem> {
    let shape =
        format!(r#"send {{"tasks": [...]}} with 1 to {MAX_BATCH} tasks, each as POST /v1/tasks takes it"#);
    let refuse = |why: &str| Problem::new(ProblemKind::InvalidBatch, format!("{why}: {shape}"));
    // Serde would also accept an array, by the order of the fields.
    if !body.get().starts_with('{') {
        return Err(refuse("the body is not a JSON object"));
    }
    let Fields { tasks } = serde_json::from_str(body.get()).map_err(|error| refuse(&error.to_string()))?;
    match tasks.count {
        1..=MAX_BATCH => Ok(tasks.kept),
        0 => Err(refuse("`tasks` is empty")),
        many => Err(refuse(&format!("`tasks` has {many} entries"))),
    }
}

struct Batch {
    submitter: Submitter,
    deadline: Instant,
}

impl Batch {
    /// Stores the valid entries. With a key, their ids follow from the first one's, so that a repeat finds them.
    async fn store(
        &self,
        valid: Vec<(usize, NewTask)>,
        key: Option<(String, String)>,
    ) -> Result<Vec<(usize, EntryOutcome)>, Problem> {
        let first = match &key {
            Some((key, request_sha256)) => self.submitter.id_of_key(key, request_sha256.clone()).await?,
            None => RequestTaskId::New(TaskId::generate()),
        };
        let (RequestTaskId::New(seed) | RequestTaskId::Known(seed)) = first;
        let candidate = |(place, new)| Candidate {
            place,
            id: seed.plus(u16::try_from(place).unwrap_or(u16::MAX)),
            new,
        };
        let mut candidates: Vec<_> = valid.into_iter().map(candidate).collect();
        if key.is_none() {
            return self.store_new(candidates).await;
        }
        let mut outcomes = Vec::new();
        if matches!(first, RequestTaskId::Known(_)) {
            let ids: Vec<_> = candidates.iter().map(|candidate| candidate.id).collect();
            let tasks = &self.submitter.api.tasks;
            let stored = tasks.summaries(&self.submitter.tenant, ids).await?;
            let mut stored: HashMap<_, _> = stored.into_iter().map(|task| (task.id, task)).collect();
            candidates.retain(|candidate| match stored.remove(&candidate.id) {
                Some(task) => {
                    outcomes.push((candidate.place, Ok(task)));
                    false
                }
                None => true,
            });
        }
        outcomes.append(&mut self.store_idempotent(candidates).await);
        Ok(outcomes)
    }

    /// Stores tasks whose ids no other request can know. One call writes many of them, without conditions.
    async fn store_new(&self, candidates: Vec<Candidate>) -> Result<Vec<(usize, EntryOutcome)>, Problem> {
        let prepared = iter(candidates)
            .map(async |Candidate { place, id, new }| {
                let prepared = timeout_at(self.deadline, self.submitter.prepare(id, new)).await;
                (
                    place,
                    prepared.unwrap_or_else(|_| Err(Problem::service_unavailable())),
                )
            })
            .buffer_unordered(CONCURRENCY);
        let prepared: Vec<(usize, Result<Task, Problem>)> = prepared.collect().await;
        let (mut places, mut tasks, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        for (place, prepared) in prepared {
            match prepared {
                Ok(task) => {
                    places.push(place);
                    tasks.push(task);
                }
                Err(problem) => outcomes.push((place, Err(problem))),
            }
        }
        let api = &self.submitter.api;
        let not_written = api.tasks.create_all(&tasks, api.retention, self.deadline).await?;
        for (place, task) in places.into_iter().zip(tasks) {
            let outcome = if not_written.contains(&task.id) {
                Err(Problem::service_unavailable())
            } else {
                Ok(task.into())
            };
            outcomes.push((place, outcome));
        }
        Ok(outcomes)
    }

    /// Stores tasks whose ids another request with the same key may know, which may run at this moment. Each write has a
    /// condition: without one, a late write would reset a task that a worker has already run.
    async fn store_idempotent(&self, candidates: Vec<Candidate>) -> Vec<(usize, EntryOutcome)> {
        let stored = iter(candidates)
            .map(async |Candidate { place, id, new }| {
                let stored = timeout_at(self.deadline, self.submitter.store(id, new)).await;
                let stored = stored.unwrap_or_else(|_| Err(Problem::service_unavailable()));
                (place, stored.map(TaskSummary::from))
            })
            .buffer_unordered(CONCURRENCY);
        stored.collect().await
    }

    /// Sends a message for every pending task. A task whose message could not be sent is not accepted.
    async fn send(&self, outcomes: &mut [Option<EntryOutcome>]) {
        let stored = outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref()?.as_ref().ok());
        let pending = stored.filter(|task| task.status == Status::Pending);
        let messages: Vec<_> = pending.map(|task| (task.lane(), task.message())).collect();
        let not_sent = self
            .submitter
            .api
            .queues
            .send_batch(messages, self.deadline)
            .await;
        for outcome in outcomes.iter_mut() {
            if matches!(outcome, Some(Ok(task)) if not_sent.contains(&task.id)) {
                *outcome = Some(Err(Problem::service_unavailable()));
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
        let count =
            |body: &str| entries(json::check_syntax(body.as_bytes()).unwrap()).map(|entries| entries.len());
        for tasks in [1, 1_000] {
            let body = json!({ "tasks": vec![json!({}); tasks] });
            assert_eq!(count(&body.to_string()), Ok(tasks));
        }
        assert_eq!(
            count(r#" {"\u0074asks": [{"a": "\ud83d", "a": 1e999}, 7]} "#),
            Ok(2)
        );
        for body in [
            json!([]),
            json!({}),
            json!({ "tasks": [] }),
            json!({ "tasks": {} }),
            json!({ "tasks": vec![json!({}); 1_001] }),
            json!({ "tasks": null }),
            json!([[{}]]),
            json!({ "tasks": [{}], "more": 1 }),
        ] {
            let refusal = count(&body.to_string()).unwrap_err();
            assert_eq!(refusal.kind(), ProblemKind::InvalidBatch, "{body}");
        }
        let twice = count(r#"{"tasks": [{}], "\u0074asks": [{}]}"#).unwrap_err();
        assert!(
            twice.document("").detail.starts_with("duplicate field `tasks`"),
            "{twice:?}"
        );
    }
}

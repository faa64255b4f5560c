//! The API's operations.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::{StatusCode, Uri};
use jiff::Timestamp;
use mesh_task::{Priority, Status, TaskId, TaskType, UploadId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::exchange::{Asked, Exchange};
use crate::query::Query;
use crate::{
    Accepted, Changes, DeadLetters, Error, Link, Problem, Redriven, Submission, Task, TaskPage, TaskSummary,
};

/// The longest that one request is held, in seconds.
const LONGEST_WAIT: u64 = 20;

/// A client of one stack, for the owner of one token. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) exchange: Exchange,
    /// Without a slash at its end.
    pub(crate) url: String,
}

/// Which tasks a list holds: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Filter {
    pub status: Option<Status>,
    pub task_type: Option<TaskType>,
    pub priority: Option<Priority>,
    /// Accepted then or later.
    pub created_after: Option<Timestamp>,
    /// Accepted before.
    pub created_before: Option<Timestamp>,
    /// Pairs that the tasks carry.
    pub metadata: BTreeMap<String, String>,
    /// The most tasks of a page, 1 to 200.
    pub limit: Option<u32>,
}

/// Which dead letters are redriven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These, up to 100.
    Ids(Vec<TaskId>),
    /// Those of a type.
    Type(TaskType),
    /// All of them.
    All,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    task: Option<Accepted>,
    problem: Option<Problem>,
    status: u16,
}

#[derive(Deserialize)]
struct Announced {
    id: UploadId,
    url: String,
    headers: BTreeMap<String, String>,
}

impl Client {
    /// A client of the API at that address.
    ///
    /// # Errors
    /// [`Error::Setup`] when the address, the token or the system's certificates can't be used.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        Ok(Self {
            exchange: Exchange::new(token)?,
            url: address(url)?,
        })
    }

    /// The same by `AI_MESH_URL` and `AI_MESH_TOKEN`.
    ///
    /// # Errors
    /// [`Error::Setup`] when one of them is not set, or can't be used.
    pub fn from_env() -> Result<Self, Error> {
        let setting = |name: &str| {
            std::env::var(name)
                .map_err(|_| Error::Setup(format!("{name} is not set: it names the stack's API")))
        };
        Self::new(&setting("AI_MESH_URL")?, &setting("AI_MESH_TOKEN")?)
    }

    /// The API's address, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Submits a task, under an idempotency key of its own.
    ///
    /// # Errors
    /// [`Error::Problem`] when it is refused.
    pub async fn submit(&self, submission: &Submission) -> Result<Accepted, Error> {
        self.submit_keyed(submission, &new_key()).await
    }

    /// The same under the caller's key: for 24 hours, the same key gives the same task.
    ///
    /// # Errors
    /// [`Error::Problem`] when it is refused.
    pub async fn submit_keyed(&self, submission: &Submission, key: &str) -> Result<Accepted, Error> {
        self.post("/v1/tasks", Some(json!(submission)), Some(key)).await
    }

    /// Submits up to 1,000 tasks, each accepted or refused for itself, in their order.
    ///
    /// # Errors
    /// [`Error::Problem`] when the whole is refused.
    pub async fn submit_batch(
        &self,
        submissions: &[Submission],
        key: Option<&str>,
    ) -> Result<Vec<Result<Accepted, Error>>, Error> {
        let key = key.map_or_else(new_key, str::to_owned);
        let body = json!({ "tasks": submissions });
        let answer: Results = self.post("/v1/tasks/batch", Some(body), Some(&key)).await?;
        let each = answer
            .results
            .into_iter()
            .map(|entry| match (entry.task, entry.problem) {
                (Some(task), _) => Ok(task),
                (None, Some(problem)) => Err(problem.into()),
                (None, None) => Err(Error::Stranger { status: entry.status }),
            });
        Ok(each.collect())
    }

    /// A task as it stands.
    ///
    /// # Errors
    /// [`Error::Problem`] when there is none.
    pub async fn get(&self, id: TaskId) -> Result<Task, Error> {
        self.read(&format!("/v1/tasks/{id}"), Query::default()).await
    }

    /// A task once it is final.
    ///
    /// # Errors
    /// [`Error::NotFinal`] when it is not within `patience`, [`Error::Problem`] when there is none.
    pub async fn wait(&self, id: TaskId, patience: Duration) -> Result<Task, Error> {
        // None where it lies beyond all clocks.
        let until = Instant::now().checked_add(patience);
        loop {
            let left = until.map_or(patience, |until| until.saturating_duration_since(Instant::now()));
            let wait = left.as_millis().div_ceil(1_000).min(LONGEST_WAIT.into());
            let query = Query::default().with("wait", Some(wait));
            let task: Task = self.read(&format!("/v1/tasks/{id}"), query).await?;
            if task.status.is_final() {
                return Ok(task);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(Error::NotFinal {
                    id,
                    seconds: patience.as_secs(),
                });
            }
        }
    }

    /// A page of the tasks that the filter lets through, newest first, from the start or from a page's `next_cursor`.
    ///
    /// # Errors
    /// [`Error::Problem`] when the filter or the cursor is refused.
    pub async fn list(&self, filter: &Filter, cursor: Option<&str>) -> Result<TaskPage, Error> {
        let mut query = Query::default()
            .with("status", filter.status.map(Status::as_str))
            .with("type", filter.task_type)
            .with("priority", filter.priority.map(Priority::as_str))
            .with("created_after", filter.created_after)
            .with("created_before", filter.created_before)
            .with("limit", filter.limit)
            .with("cursor", cursor);
        for (key, value) in &filter.metadata {
            query = query.with(&format!("metadata.{key}"), Some(value));
        }
        self.read("/v1/tasks", query).await
    }

    /// The newest tasks that the filter lets through, `most` at most, over as many pages as it takes.
    ///
    /// # Errors
    /// [`Error::Problem`] when the filter is refused.
    pub async fn list_all(&self, filter: &Filter, most: usize) -> Result<Vec<TaskSummary>, Error> {
        let mut tasks = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.list(filter, cursor.as_deref()).await?;
            tasks.extend(page.tasks);
            cursor = page.next_cursor;
            if cursor.is_none() || tasks.len() >= most {
                tasks.truncate(most);
                return Ok(tasks);
            }
        }
    }

    /// Ends a task that is not final, at once.
    ///
    /// # Errors
    /// [`Error::Problem`] when it is final, or there is none.
    pub async fn cancel(&self, id: TaskId) -> Result<Task, Error> {
        self.post(&format!("/v1/tasks/{id}/cancel"), None, None).await
    }

    /// Gives a failed or cancelled task new attempts.
    ///
    /// # Errors
    /// [`Error::Problem`] when it is neither, or there is none.
    pub async fn retry(&self, id: TaskId) -> Result<Task, Error> {
        self.post(&format!("/v1/tasks/{id}/retry"), None, None).await
    }

    /// Uploads a content for tasks that name it: `image/jpeg`, say, up to 50 MB.
    ///
    /// # Errors
    /// [`Error::Problem`] when it is refused, [`Error::NotStored`] when the storage does not take it.
    pub async fn upload(&self, content_type: &str, content: Vec<u8>) -> Result<UploadId, Error> {
        let announced = json!({
            "content_type": content_type,
            "length": content.len(),
            "sha256": hex::encode(Sha256::digest(&content)),
        });
        let announcement = Asked::post(format!("{}/v1/uploads", self.url), Some(&announced), None);
        // One that nothing follows is forgotten.
        let asked = announcement.repeatable();
        let Announced { id, url, headers } = self.ask(&asked).await?;
        let answer = self.exchange.call(&Asked::put(url, headers, content)).await?;
        // What lies there already came by an earlier try: nobody else knows the address.
        if answer.status.is_success() || answer.status == StatusCode::PRECONDITION_FAILED {
            Ok(id)
        } else {
            Err(Error::NotStored {
                status: answer.status.as_u16(),
            })
        }
    }

    /// A result that was too large to ride along, as JSON. The token stays here.
    ///
    /// # Errors
    /// [`Error::Expired`] when the link is no longer good, [`Error::Changed`] when what lies there is not the result.
    pub async fn fetch(&self, link: &Link) -> Result<Vec<u8>, Error> {
        let answer = self.exchange.call(&Asked::stored(link.url.clone())).await?;
        if !answer.status.is_success() {
            return Err(Error::Expired {
                status: answer.status.as_u16(),
            });
        }
        if hex::encode(Sha256::digest(&answer.body)) == link.sha256 {
            Ok(answer.body)
        } else {
            Err(Error::Changed)
        }
    }

    /// The changes after a cursor, or from now on; held for up to 20 seconds until there is one.
    ///
    /// # Errors
    /// [`Error::Problem`] when they are not kept any more.
    pub async fn changes(&self, after: Option<&str>, wait: Duration) -> Result<Changes, Error> {
        let wait = wait.as_secs().min(LONGEST_WAIT);
        let query = Query::default().with("after", after).with("wait", Some(wait));
        self.read("/v1/changes", query).await
    }

    /// A page of dead letters, newest first, from the start or from a page's `next_cursor`.
    ///
    /// # Errors
    /// [`Error`], when they can't be had.
    pub async fn dead_letters(
        &self,
        task_type: Option<TaskType>,
        cursor: Option<TaskId>,
    ) -> Result<DeadLetters, Error> {
        let query = Query::default().with("type", task_type).with("cursor", cursor);
        self.read("/v1/dead-letters", query).await
    }

    /// Gives dead letters new attempts, up to 100 at a time; with the answer's `next_cursor` it goes on.
    ///
    /// # Errors
    /// [`Error::Problem`] when more are named than are taken.
    pub async fn redrive(&self, which: &Which, cursor: Option<TaskId>) -> Result<Redriven, Error> {
        let mut body = match which {
            Which::Ids(ids) => json!({ "ids": ids }),
            Which::Type(task_type) => json!({ "type": task_type }),
            Which::All => json!({ "all": true }),
        };
        if let Some(cursor) = cursor {
            body["cursor"] = json!(cursor);
        }
        self.post("/v1/dead-letters/redrive", Some(body), None).await
    }

    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str, query: Query) -> Result<T, Error> {
        self.ask(&Asked::get(format!("{}{path}{}", self.url, query.0)))
            .await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Result<T, Error> {
        let address = format!("{}{path}", self.url);
        self.ask(&Asked::post(address, body.as_ref(), key)).await
    }

    async fn ask<T: DeserializeOwned>(&self, asked: &Asked) -> Result<T, Error> {
        let answer = self.exchange.call(asked).await?.success()?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            if error.is_data() {
                Error::Unreadable(error)
            } else {
                // No JSON at all: a page of something in between, say.
                Error::Stranger {
                    status: answer.status.as_u16(),
                }
            }
        })
    }
}

/// The address as paths are put behind it.
fn address(given: &str) -> Result<String, Error> {
    let address = given.trim().trim_end_matches('/');
    if address.contains('@') {
        // Not shown: a password may follow the name.
        let told = "the address names a user: the token is all that the API knows its callers by";
        return Err(Error::Setup(told.to_owned()));
    }
    let refuse = |why: &str| Error::Setup(format!("{given:?} is no address: {why}"));
    if !address.starts_with("http://") && !address.starts_with("https://") {
        return Err(refuse("it begins with http:// or https://"));
    }
    let read: Uri = address
        .parse()
        .map_err(|_| refuse("write it as https://HOST/PATH"))?;
    if read.host().is_none_or(str::is_empty) {
        return Err(refuse("it names no host"));
    }
    if address.contains(['?', '#']) {
        return Err(refuse("nothing may follow its path"));
    }
    Ok(address.to_owned())
}

fn new_key() -> String {
    Uuid::now_v7().to_string()
}

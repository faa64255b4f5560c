//! The API's operations.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::{StatusCode, Uri};
use jiff::Timestamp;
use mesh_api_types::{
    BatchResponse, ChangeList, DeadLetterList, Link, RedriveRequest, RedriveResponse, SubmitResponse,
    TaskList, TaskSummaryView, TaskView, UploadTicket,
};
use mesh_task::{Priority, Status, TaskId, TaskType, UploadId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::exchange::{Exchange, Request};
use crate::query::Query;
use crate::{Error, Submission};

/// How long the API holds a request that waits. A longer wait takes several requests.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// A client of one stack with one token. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) exchange: Exchange,
    /// Without a trailing slash.
    pub(crate) url: String,
}

/// Which tasks a list contains: those that match every given field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub status: Option<Status>,
    pub task_type: Option<TaskType>,
    pub priority: Option<Priority>,
    /// Includes tasks that were accepted at this very time.
    pub created_after: Option<Timestamp>,
    /// Excludes tasks that were accepted at this very time.
    pub created_before: Option<Timestamp>,
    /// The tasks' metadata must contain all of these pairs.
    pub metadata: BTreeMap<String, String>,
    /// The page size, 1 to 200. Without it the API chooses.
    pub limit: Option<u32>,
}

/// Which dead letters to redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedriveTarget {
    /// At most 100 ids.
    Ids(Vec<TaskId>),
    Type(TaskType),
    All,
}

impl Client {
    /// A client of the API at that address.
    ///
    /// # Errors
    /// [`Error::Setup`] when the address or the token is invalid, or the system's certificates cannot be read.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        Ok(Self {
            exchange: Exchange::new(token)?,
            url: address(url)?,
        })
    }

    /// A client with the address in `AI_MESH_URL` and the token in `AI_MESH_TOKEN`.
    ///
    /// # Errors
    /// [`Error::Setup`] when one of them is not set or invalid.
    pub fn from_env() -> Result<Self, Error> {
        let setting = |name: &str, what: &str| {
            std::env::var(name).map_err(|_| Error::Setup(format!("{name} is not set: set it to {what}")))
        };
        Self::new(
            &setting("AI_MESH_URL", "the API's address")?,
            &setting("AI_MESH_TOKEN", "the stack's token")?,
        )
    }

    /// The API's address, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Submits a task under a new idempotency key, so that a retry creates no second task.
    ///
    /// # Errors
    /// [`Error::Problem`] when the API refuses it.
    pub async fn submit(&self, submission: &Submission) -> Result<SubmitResponse, Error> {
        self.submit_keyed(submission, &new_key()).await
    }

    /// Submits a task under the caller's idempotency key. A repeat with the same key returns the same task for 24
    /// hours.
    ///
    /// # Errors
    /// [`Error::Problem`] when the API refuses it.
    pub async fn submit_keyed(&self, submission: &Submission, key: &str) -> Result<SubmitResponse, Error> {
        self.post("/v1/tasks", Some(json!(submission)), Some(key)).await
    }

    /// Submits up to 1,000 tasks. The API accepts or refuses each by itself; the results have the order of the
    /// submissions.
    ///
    /// # Errors
    /// [`Error::Problem`] when the API refuses the whole request.
    pub async fn submit_batch(
        &self,
        submissions: &[Submission],
        key: Option<&str>,
    ) -> Result<Vec<Result<SubmitResponse, Error>>, Error> {
        let key = key.map_or_else(new_key, str::to_owned);
        let body = json!({ "tasks": submissions });
        let response: BatchResponse = self.post("/v1/tasks/batch", Some(body), Some(&key)).await?;
        let results = response
            .results
            .into_iter()
            .map(|entry| match (entry.task, entry.problem) {
                (Some(task), _) => Ok(task),
                (None, Some(problem)) => Err(problem.into()),
                (None, None) => Err(Error::UnexpectedResponse { status: entry.status }),
            });
        Ok(results.collect())
    }

    /// A task in its current state.
    ///
    /// # Errors
    /// [`Error::Problem`] when there is no such task.
    pub async fn get(&self, id: TaskId) -> Result<TaskView, Error> {
        self.read(&format!("/v1/tasks/{id}"), Query::default()).await
    }

    /// Waits until a task is final.
    ///
    /// # Errors
    /// [`Error::NotFinal`] when it is not final within `timeout`, [`Error::Problem`] when there is no such task.
    pub async fn wait(&self, id: TaskId, timeout: Duration) -> Result<TaskView, Error> {
        // None for a timeout that no clock can express.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map_or(timeout, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            let seconds = left.min(MAX_WAIT).as_millis().div_ceil(1_000);
            let query = Query::default().with("wait", Some(seconds));
            let task: TaskView = self.read(&format!("/v1/tasks/{id}"), query).await?;
            if task.status.is_final() {
                return Ok(task);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::NotFinal {
                    id,
                    seconds: timeout.as_secs(),
                });
            }
        }
    }

    /// One page of the tasks that match the filter, newest first. `cursor` is an earlier page's `next_cursor`.
    ///
    /// # Errors
    /// [`Error::Problem`] when the API refuses the filter or the cursor.
    pub async fn list(&self, filter: &Filter, cursor: Option<&str>) -> Result<TaskList, Error> {
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

    /// The newest tasks that match the filter, at most `max`, from as many pages as necessary.
    ///
    /// # Errors
    /// [`Error::Problem`] when the API refuses the filter.
    pub async fn list_all(&self, filter: &Filter, max: usize) -> Result<Vec<TaskSummaryView>, Error> {
        let mut tasks = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.list(filter, cursor.as_deref()).await?;
            tasks.extend(page.tasks);
            cursor = page.next_cursor;
            if cursor.is_none() || tasks.len() >= max {
                tasks.truncate(max);
                return Ok(tasks);
            }
        }
    }

    /// Cancels a task that is not final.
    ///
    /// # Errors
    /// [`Error::Problem`] when it is final, or there is no such task.
    pub async fn cancel(&self, id: TaskId) -> Result<TaskView, Error> {
        self.post(&format!("/v1/tasks/{id}/cancel"), None, None).await
    }

    /// Starts a new generation of a failed or cancelled task.
    ///
    /// # Errors
    /// [`Error::Problem`] when it is neither failed nor cancelled, or there is no such task.
    pub async fn retry(&self, id: TaskId) -> Result<TaskView, Error> {
        self.post(&format!("/v1/tasks/{id}/retry"), None, None).await
    }

    /// Uploads up to 50 MB for tasks that name the upload. `content_type` is a media type such as `image/jpeg`.
    ///
    /// # Errors
    /// [`Error::Problem`] when the API refuses it, [`Error::NotStored`] when the storage does.
    pub async fn upload(&self, content_type: &str, content: Vec<u8>) -> Result<UploadId, Error> {
        let announcement = json!({
            "content_type": content_type,
            "length": content.len(),
            "sha256": hex::encode(Sha256::digest(&content)),
        });
        let announce = Request::post(format!("{}/v1/uploads", self.url), Some(&announcement), None);
        // A repeat is safe: the API forgets an announcement that no upload follows.
        let ticket: UploadTicket = self.send(&announce.repeatable()).await?;
        let response = self
            .exchange
            .send(&Request::put(ticket.url, ticket.headers, content))
            .await?;
        // 412: an earlier attempt stored the content, since nobody else knows the address.
        if response.status.is_success() || response.status == StatusCode::PRECONDITION_FAILED {
            Ok(ticket.id)
        } else {
            Err(Error::NotStored {
                status: response.status.as_u16(),
            })
        }
    }

    /// Downloads a large result as JSON. The request does not carry the token.
    ///
    /// # Errors
    /// [`Error::Expired`] when the link is no longer valid, [`Error::ChecksumMismatch`] when the download is not the
    /// result.
    pub async fn fetch(&self, link: &Link) -> Result<Vec<u8>, Error> {
        let response = self.exchange.send(&Request::get_stored(link.url.clone())).await?;
        if !response.status.is_success() {
            return Err(Error::Expired {
                status: response.status.as_u16(),
            });
        }
        if hex::encode(Sha256::digest(&response.body)) == link.sha256 {
            Ok(response.body)
        } else {
            Err(Error::ChecksumMismatch)
        }
    }

    /// The changes after a cursor, or the current end of the change log. The API holds the request until there is a
    /// change, for `wait` and at most [`MAX_WAIT`].
    ///
    /// # Errors
    /// [`Error::Problem`] when the change log no longer reaches back to the cursor.
    pub async fn changes(&self, after: Option<&str>, wait: Duration) -> Result<ChangeList, Error> {
        let wait = wait.min(MAX_WAIT).as_secs();
        let query = Query::default().with("after", after).with("wait", Some(wait));
        self.read("/v1/changes", query).await
    }

    /// One page of dead letters, newest first. `cursor` is an earlier page's `next_cursor`.
    ///
    /// # Errors
    /// [`Error`] when the API does not return them.
    pub async fn dead_letters(
        &self,
        task_type: Option<TaskType>,
        cursor: Option<TaskId>,
    ) -> Result<DeadLetterList, Error> {
        let query = Query::default().with("type", task_type).with("cursor", cursor);
        self.read("/v1/dead-letters", query).await
    }

    /// Redrives up to 100 dead letters. If the response has a `next_cursor`, call again with it.
    ///
    /// # Errors
    /// [`Error::Problem`] when there are too many ids.
    pub async fn redrive(
        &self,
        target: &RedriveTarget,
        cursor: Option<TaskId>,
    ) -> Result<RedriveResponse, Error> {
        let mut request = RedriveRequest {
            cursor: cursor.map(|cursor| cursor.to_string()),
            ..RedriveRequest::default()
        };
        match target {
            RedriveTarget::Ids(ids) => request.ids = Some(ids.iter().map(TaskId::to_string).collect()),
            RedriveTarget::Type(task_type) => request.task_type = Some(task_type.as_str().to_owned()),
            RedriveTarget::All => request.all = true,
        }
        self.post("/v1/dead-letters/redrive", Some(json!(request)), None)
            .await
    }

    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str, query: Query) -> Result<T, Error> {
        self.send(&Request::get(format!("{}{path}{}", self.url, query.0)))
            .await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Result<T, Error> {
        let address = format!("{}{path}", self.url);
        self.send(&Request::post(address, body.as_ref(), key)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Error> {
        let response = self.exchange.send(request).await?.success()?;
        serde_json::from_slice(&response.body).map_err(|error| {
            if error.is_data() {
                Error::Unreadable(error)
            } else {
                // The body is not JSON at all, such as a proxy's HTML page.
                Error::UnexpectedResponse {
                    status: response.status.as_u16(),
                }
            }
        })
    }
}

/// Checks the API's address and returns it without a trailing slash.
fn address(given: &str) -> Result<String, Error> {
    let address = given.trim().trim_end_matches('/');
    if address.contains('@') {
        // The message does not show the address: it may contain a password.
        let message = "the address contains a user name: remove it, because the token identifies the caller";
        return Err(Error::Setup(message.to_owned()));
    }
    let invalid = |advice: &str| Error::Setup(format!("{given:?} is not a valid address: {advice}"));
    if !address.starts_with("http://") && !address.starts_with("https://") {
        return Err(invalid("start it with http:// or https://"));
    }
    let uri: Uri = address
        .parse()
        .map_err(|_| invalid("write it as https://HOST/PATH"))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(invalid("add a host"));
    }
    if address.contains(['?', '#']) {
        return Err(invalid("end it after the path"));
    }
    Ok(address.to_owned())
}

fn new_key() -> String {
    Uuid::now_v7().to_string()
}

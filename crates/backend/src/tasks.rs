//! The tasks. The store is authoritative for every task's state.

use std::collections::HashSet;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::{BoxFuture, pending};
use jiff::Timestamp;
use mesh_task::{IdRange, Task, TaskFilter, TaskId, TaskSummary, Tenant, Write};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{BackendError, BackendFuture};

/// How long the record of an idempotency key is valid.
pub const KEY_RETENTION: Duration = Duration::from_hours(24);
/// The most tasks that one list reads, however few of them match.
pub const MAX_LIST_READ: usize = 1_000;

/// The outcome of a conditional write.
#[derive(Debug)]
pub enum WriteOutcome {
    /// The write was applied; the task as it is now.
    Applied(Box<Task>),
    /// The condition failed: the task as it is, or `None` if there is no such task.
    ConditionFailed(Option<Box<Task>>),
}

/// The first request with an idempotency key, and the id of its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// SHA-256 of the request, in hex.
    pub request_sha256: String,
    /// The task's id, or the first id of a batch, whose other ids follow from it. A repeated request gets the same ids, and
    /// so creates no second task.
    pub task_id: TaskId,
}

/// A part of a list, newest first. It may be short, or empty, although more parts follow.
#[derive(Debug)]
pub struct ListPage<T> {
    pub entries: Vec<T>,
    /// The list goes on below this id; absent on the last page.
    pub next: Option<TaskId>,
}

/// The key of a task that is due.
#[derive(Debug, Clone)]
pub struct Due {
    pub tenant: Tenant,
    pub id: TaskId,
}

/// The tasks that are due, part by part.
pub trait DueTasks: Send {
    /// About `limit` further tasks, those that are due longest first as far as the store orders them; `None` when all were
    /// read. After an error the next call reads on, without the part that could not be read.
    fn next_page(&mut self, limit: usize) -> BoxFuture<'_, Option<Result<Vec<Due>, BackendError>>>;
}

/// The store of tasks, and of the records of idempotency keys.
///
/// Every write after the first is one of the transitions of `mesh_task`. Its condition keeps the promises: two workers can't
/// hold one task, a stale worker can't settle it, and a message for a final task does nothing.
pub trait TaskStore: Debug + Send + Sync {
    /// Writes a new task, which expires after `retention`. If a task with this id exists, it is left as it is and returned.
    ///
    /// # Errors
    /// When the task may not have been written.
    fn create<'a>(&'a self, task: &'a Task, retention: Duration) -> BackendFuture<'a, Option<Box<Task>>>;

    /// Writes new tasks, and returns the ids of those that may not have been written by then. It is safe only for ids that
    /// nobody else can know yet: the write has no condition.
    ///
    /// # Errors
    /// When a task can't be written at all; then no task was.
    fn create_all<'a>(
        &'a self,
        tasks: &'a [Task],
        retention: Duration,
        until: Instant,
    ) -> BackendFuture<'a, HashSet<TaskId>>;

    /// Reads a task as the last write left it; `None` if the tenant has no task with that id.
    ///
    /// # Errors
    /// When the store did not answer, or the task can't be parsed.
    fn get<'a>(&'a self, tenant: &'a Tenant, id: TaskId) -> BackendFuture<'a, Option<Task>>;

    /// Reads many tasks, in no particular order, without those that are gone or can't be parsed.
    ///
    /// # Errors
    /// When the store did not answer, or not to all of it.
    fn get_many(&self, keys: Vec<(Tenant, TaskId)>) -> BackendFuture<'_, Vec<Task>>;

    /// Reads the summaries of a tenant's tasks, in no particular order, without those that are gone or can't be parsed.
    ///
    /// # Errors
    /// When the store did not answer, or not to all of it.
    fn summaries<'a>(&'a self, tenant: &'a Tenant, ids: Vec<TaskId>) -> BackendFuture<'a, Vec<TaskSummary>>;

    /// Applies one of a task's transitions, if its condition holds.
    ///
    /// # Errors
    /// When the store did not answer; the write may have been applied.
    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: TaskId,
        write: &'a Write,
    ) -> BackendFuture<'a, WriteOutcome>;

    /// Writes a key's record, unless a valid one exists: then that one is returned. Of concurrent requests the first decides.
    ///
    /// # Errors
    /// When the store did not answer.
    fn remember<'a>(
        &'a self,
        tenant: &'a Tenant,
        idempotency_key: &'a str,
        record: KeyRecord,
        now: Timestamp,
    ) -> BackendFuture<'a, KeyRecord>;

    /// The newest tasks of a tenant that match a filter, up to `limit` of them, from below an id if one is given. It reads a
    /// bounded number of tasks, however many are stored, and until a time: the page is short where few of those match.
    ///
    /// # Errors
    /// When the store did not answer.
    fn list<'a>(
        &'a self,
        tenant: &'a Tenant,
        filter: &'a TaskFilter,
        below: Option<TaskId>,
        limit: usize,
        until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskSummary>>;

    /// The ids of a tenant's newest failed tasks in a range, up to `limit` of them, as far as they are read until a time.
    ///
    /// # Errors
    /// When the store did not answer.
    fn failed_ids<'a>(
        &'a self,
        tenant: &'a Tenant,
        range: IdRange,
        limit: usize,
        until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskId>>;

    /// Ends at the task's first change after this call, if the store notices that: else never.
    fn changed(&self, _id: TaskId) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }

    /// The tasks of all tenants that are in flight and due at `by`.
    fn due(&self, by: Timestamp) -> Box<dyn DueTasks + '_>;

    /// Reads a task that does not exist, to show that the store answers.
    ///
    /// # Errors
    /// When the store did not answer.
    fn check(&self) -> BackendFuture<'_, ()> {
        Box::pin(async {
            self.get(&Tenant::first(), TaskId::generate()).await?;
            Ok(())
        })
    }

    /// Opens the connection, so that the first real call does not wait for it. An error is only logged: the first real call
    /// reports it.
    fn warm(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Err(error) = self.check().await {
                tracing::warn!(event = "connection_not_opened", %error, "the connection to the task store could not be opened in advance");
            }
        })
    }
}

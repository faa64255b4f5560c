use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::{BackendFuture, DueTasks, KeyRecord, ListPage, TaskStore, WriteOutcome};
use mesh_task::{IdRange, Task, TaskFilter, TaskId, TaskSummary, Tenant, Write};
use tokio::time::Instant;

use super::index::DuePages;
use super::{TaskTable, key};

impl TaskStore for TaskTable {
    fn create<'a>(&'a self, task: &'a Task, retention: Duration) -> BackendFuture<'a, Option<Box<Task>>> {
        Box::pin(self.create_task(task, retention))
    }

    fn create_all<'a>(
        &'a self,
        tasks: &'a [Task],
        retention: Duration,
        until: Instant,
    ) -> BackendFuture<'a, HashSet<TaskId>> {
        Box::pin(self.create_batch(tasks, retention, until))
    }

    fn get<'a>(&'a self, tenant: &'a Tenant, id: TaskId) -> BackendFuture<'a, Option<Task>> {
        Box::pin(self.get_task(tenant, id))
    }

    fn get_many(&self, keys: Vec<(Tenant, TaskId)>) -> BackendFuture<'_, Vec<Task>> {
        let keys = keys.into_iter().map(|(tenant, id)| key(&tenant, id)).collect();
        Box::pin(self.get_all(keys, &[]))
    }

    fn summaries<'a>(&'a self, tenant: &'a Tenant, ids: Vec<TaskId>) -> BackendFuture<'a, Vec<TaskSummary>> {
        let keys = ids.into_iter().map(|id| key(tenant, id)).collect();
        Box::pin(self.get_all(keys, &TaskSummary::ATTRIBUTES))
    }

    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: TaskId,
        write: &'a Write,
    ) -> BackendFuture<'a, WriteOutcome> {
        Box::pin(self.write_task(tenant, id, write))
    }

    fn remember<'a>(
        &'a self,
        tenant: &'a Tenant,
        idempotency_key: &'a str,
        record: KeyRecord,
        now: Timestamp,
    ) -> BackendFuture<'a, KeyRecord> {
        Box::pin(self.put_key_record(tenant, idempotency_key, record, now))
    }

    fn list<'a>(
        &'a self,
        tenant: &'a Tenant,
        filter: &'a TaskFilter,
        below: Option<TaskId>,
        limit: usize,
        until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskSummary>> {
        Box::pin(self.list_page(tenant, filter, below, limit, until))
    }

    fn failed_ids<'a>(
        &'a self,
        tenant: &'a Tenant,
        range: IdRange,
        limit: usize,
        until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskId>> {
        Box::pin(self.failed_page(tenant, range, limit, until))
    }

    fn due(&self, by: Timestamp) -> Box<dyn DueTasks + '_> {
        Box::new(DuePages::new(self, by))
    }
}

//! The backend as its users see it, with the faults that are planned for their processes.

use std::collections::HashSet;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::{
    BackendError, BackendFuture, BoxFuture, CounterStore, Depth, Due, DueTasks, KeyRecord, ListPage,
    PayloadStore, Pinned, ReadError, SignedUpload, TaskQueue, TaskStore, WriteOutcome,
};
use mesh_stats::{Change, Record, TenantCounters};
use mesh_task::{
    IdRange, Message, NewUpload, ObjectRef, Task, TaskFilter, TaskId, TaskSummary, Tenant, Write,
};
use mesh_telemetry::Trace;
use tokio::time::Instant;

use crate::process::call;

#[derive(Debug)]
pub(crate) struct FaultyTasks(pub(crate) Arc<dyn TaskStore>);

impl TaskStore for FaultyTasks {
    fn create<'a>(&'a self, task: &'a Task, retention: Duration) -> BackendFuture<'a, Option<Box<Task>>> {
        call("create", move || self.0.create(task, retention))
    }

    fn create_all<'a>(
        &'a self,
        tasks: &'a [Task],
        retention: Duration,
        until: Instant,
    ) -> BackendFuture<'a, HashSet<TaskId>> {
        // The call has no condition, so nothing sends it again.
        let was_made = AtomicBool::new(false);
        call("create_all", move || {
            if was_made.swap(true, Ordering::Relaxed) {
                return Box::pin(ready(Ok(HashSet::new())));
            }
            self.0.create_all(tasks, retention, until)
        })
    }

    fn get<'a>(&'a self, tenant: &'a Tenant, id: TaskId) -> BackendFuture<'a, Option<Task>> {
        call("get", move || self.0.get(tenant, id))
    }

    fn get_many(&self, keys: Vec<(Tenant, TaskId)>) -> BackendFuture<'_, Vec<Task>> {
        call("get_many", move || self.0.get_many(keys.clone()))
    }

    fn summaries<'a>(&'a self, tenant: &'a Tenant, ids: Vec<TaskId>) -> BackendFuture<'a, Vec<TaskSummary>> {
        call("summaries", move || self.0.summaries(tenant, ids.clone()))
    }

    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: TaskId,
        write: &'a Write,
    ) -> BackendFuture<'a, WriteOutcome> {
        call("write", move || self.0.write(tenant, id, write))
    }

    fn remember<'a>(
        &'a self,
        tenant: &'a Tenant,
        idempotency_key: &'a str,
        record: KeyRecord,
        now: Timestamp,
    ) -> BackendFuture<'a, KeyRecord> {
        call("remember", move || {
            self.0.remember(tenant, idempotency_key, record.clone(), now)
        })
    }

    fn list<'a>(
        &'a self,
        tenant: &'a Tenant,
        filter: &'a TaskFilter,
        below: Option<TaskId>,
        limit: usize,
        until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskSummary>> {
        call("list", move || self.0.list(tenant, filter, below, limit, until))
    }

    fn failed_ids<'a>(
        &'a self,
        tenant: &'a Tenant,
        range: IdRange,
        limit: usize,
        until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskId>> {
        call("failed_ids", move || {
            self.0.failed_ids(tenant, range, limit, until)
        })
    }

    fn due(&self, by: Timestamp) -> Box<dyn DueTasks + '_> {
        Box::new(FaultyDue {
            tasks: &*self.0,
            by,
            is_read: false,
        })
    }
}

/// The tasks that are due, all of them as one page.
struct FaultyDue<'a> {
    tasks: &'a dyn TaskStore,
    by: Timestamp,
    is_read: bool,
}

impl DueTasks for FaultyDue<'_> {
    fn next_page(&mut self, limit: usize) -> BoxFuture<'_, Option<Result<Vec<Due>, BackendError>>> {
        let (tasks, by) = (self.tasks, self.by);
        let was_read = std::mem::replace(&mut self.is_read, true);
        Box::pin(async move {
            if was_read {
                return None;
            }
            let read = call("due", move || {
                Box::pin(async move {
                    let (mut pages, mut all) = (tasks.due(by), Vec::new());
                    while let Some(page) = pages.next_page(limit).await {
                        all.append(&mut page?);
                    }
                    Ok(all)
                })
            });
            Some(read.await)
        })
    }
}

#[derive(Debug)]
pub(crate) struct FaultyQueue(pub(crate) Arc<dyn TaskQueue>);

impl TaskQueue for FaultyQueue {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn send_traced<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
        trace: Option<&'a Trace>,
    ) -> BackendFuture<'a, ()> {
        call("send", move || self.0.send_traced(message, delay, trace))
    }

    fn send_many(&self, messages: Vec<Message>, until: Instant) -> BoxFuture<'_, Vec<Message>> {
        Box::pin(async move {
            let all = messages.clone();
            let sent = call("send_many", move || {
                let sent = self.0.send_many(messages.clone(), until);
                Box::pin(async move { Ok::<_, BackendError>(sent.await) })
            });
            sent.await.unwrap_or(all)
        })
    }

    fn change_visibility<'a>(&'a self, receipt_handle: &'a str, delay: Duration) -> BackendFuture<'a, ()> {
        call("change_visibility", move || {
            self.0.change_visibility(receipt_handle, delay)
        })
    }

    fn depth(&self) -> BackendFuture<'_, Depth> {
        call("depth", move || self.0.depth())
    }

    fn check(&self) -> BackendFuture<'_, ()> {
        call("check", move || self.0.check())
    }
}

#[derive(Debug)]
pub(crate) struct FaultyPayloads(pub(crate) Arc<dyn PayloadStore>);

impl PayloadStore for FaultyPayloads {
    fn put_input<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: TaskId,
        body: Vec<u8>,
        content_type: &'a str,
    ) -> BackendFuture<'a, ObjectRef> {
        call("put_input", move || {
            self.0.put_input(tenant, id, body.clone(), content_type)
        })
    }

    fn put_result<'a>(&'a self, task: &'a Task, json: Vec<u8>) -> BackendFuture<'a, ObjectRef> {
        call("put_result", move || self.0.put_result(task, json.clone()))
    }

    fn link<'a>(&'a self, object: &'a ObjectRef, expires_in: Duration) -> BackendFuture<'a, String> {
        call("link", move || self.0.link(object, expires_in))
    }

    fn address(&self) -> BackendFuture<'_, String> {
        call("address", move || self.0.address())
    }

    fn sign_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a NewUpload,
        expires_in: Duration,
    ) -> BackendFuture<'a, SignedUpload> {
        call("sign_upload", move || self.0.sign_upload(key, upload, expires_in))
    }

    fn pin(&self, key: String) -> BoxFuture<'_, Result<Pinned, ReadError>> {
        call("pin", move || self.0.pin(key.clone()))
    }

    fn read<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Vec<u8>, ReadError>> {
        call("read", move || self.0.read(object))
    }

    fn warm(&self) -> BoxFuture<'_, ()> {
        self.0.warm()
    }

    fn check(&self) -> BackendFuture<'_, ()> {
        call("check", move || self.0.check())
    }
}

#[derive(Debug)]
pub(crate) struct FaultyCounters(pub(crate) Arc<dyn CounterStore>);

impl CounterStore for FaultyCounters {
    fn counters<'a>(&'a self, tenant: &'a Tenant) -> BackendFuture<'a, TenantCounters> {
        call("counters", move || self.0.counters(tenant))
    }

    fn changes<'a>(
        &'a self,
        tenant: &'a Tenant,
        counters: &'a TenantCounters,
        after: u64,
        limit: usize,
    ) -> BackendFuture<'a, Option<Vec<(u64, Change)>>> {
        call("changes", move || self.0.changes(tenant, counters, after, limit))
    }

    fn count<'a>(&'a self, tenant: &'a Tenant, records: &'a [Record]) -> BackendFuture<'a, Vec<Change>> {
        call("count", move || self.0.count(tenant, records))
    }
}

//! The tasks and the records of idempotency keys.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::{
    BackendError, BackendFuture, BoxFuture, Due, DueTasks, KEY_RETENTION, KeyRecord, ListPage, MAX_LIST_READ,
    TaskStore, WriteOutcome,
};
use mesh_task::{IdRange, Item, Status, Task, TaskFilter, TaskId, TaskSummary, Tenant, Write};
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::changes::Watchers;
use crate::database::Database;
use crate::item::{append_change, new_item, parse, parse_item, read_item, write_item};
use crate::references::keep_payloads;

/// The task store of the data folder.
#[derive(Debug)]
pub(crate) struct Tasks {
    pub(crate) database: Arc<Database>,
    pub(crate) watchers: Arc<Watchers<TaskId>>,
    /// Notified of every change: it is to be counted.
    pub(crate) uncounted: Arc<Notify>,
}

impl Tasks {
    async fn create_task(&self, task: &Task, retention: Duration) -> Result<Option<Box<Task>>, BackendError> {
        let item = new_item(task, (task.created_at + retention).as_second())?;
        let (tenant, id) = (task.tenant.to_string(), task.id.to_string());
        let existing = self.database.write("create", move |connection| {
            if let Some(existing) = read_item(connection, &tenant, &id)? {
                return parse_item(existing).map(Some);
            }
            insert(connection, &tenant, &id, &item)?;
            Ok(None)
        });
        let existing = existing.await?;
        self.uncounted.notify_one();
        Ok(existing)
    }

    async fn create_batch(
        &self,
        tasks: &[Task],
        retention: Duration,
        until: Instant,
    ) -> Result<HashSet<TaskId>, BackendError> {
        let items = tasks.iter().map(|task| {
            let item = new_item(task, (task.created_at + retention).as_second())?;
            Ok((task.tenant.to_string(), task.id.to_string(), item))
        });
        let items: Vec<_> = items.collect::<Result<_, BackendError>>()?;
        let written = self.database.write("create_all", move |connection| {
            for (tenant, id, item) in &items {
                insert(connection, tenant, id, item)?;
            }
            Ok(())
        });
        let failure = match timeout_at(until, written).await {
            Ok(Ok(())) => {
                self.uncounted.notify_one();
                return Ok(HashSet::new());
            }
            // No part of the batch fits.
            Ok(Err(error)) if error.is_out_of_space() => return Err(error),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the time is over".to_owned(),
        };
        tracing::error!(
            event = "tasks_not_written",
            error = failure,
            tasks = tasks.len(),
            "a batch of tasks may not have been written"
        );
        Ok(tasks.iter().map(|task| task.id).collect())
    }

    async fn get_all<T: DeserializeOwned + Send + 'static>(
        &self,
        keys: Vec<(Tenant, TaskId)>,
    ) -> Result<Vec<T>, BackendError> {
        let read = self.database.read("get_many", move |connection| {
            let mut found = Vec::with_capacity(keys.len());
            for (tenant, id) in keys {
                let id = id.to_string();
                if let Some(item) = read_item(connection, tenant.as_str(), &id)? {
                    found.extend(parse_or_skip(item, &id));
                }
            }
            Ok(found)
        });
        read.await
    }

    async fn write_task(
        &self,
        tenant: &Tenant,
        id: TaskId,
        write: &Write,
    ) -> Result<WriteOutcome, BackendError> {
        let (tenant, task_id, write) = (tenant.to_string(), id.to_string(), write.clone());
        let written = self.database.write("write", move |connection| {
            let Some(mut item) = read_item(connection, &tenant, &task_id)? else {
                return Ok(WriteOutcome::ConditionFailed(None));
            };
            let before = item.clone();
            if !write.apply(&mut item) {
                return Ok(WriteOutcome::ConditionFailed(Some(parse_item(item)?)));
            }
            keep_payloads(connection, Some(&before), &item)?;
            write_item(connection, &tenant, &task_id, &item)?;
            let now = Timestamp::now().as_millisecond();
            append_change(connection, &tenant, now, Some(&before), Some(&item))?;
            Ok(WriteOutcome::Applied(parse_item(item)?))
        });
        let outcome = written.await?;
        if matches!(outcome, WriteOutcome::Applied(_)) {
            self.watchers.wake(&id);
            self.uncounted.notify_one();
        }
        Ok(outcome)
    }

    async fn put_key_record(
        &self,
        tenant: &Tenant,
        idempotency_key: &str,
        record: KeyRecord,
        now: Timestamp,
    ) -> Result<KeyRecord, BackendError> {
        let (tenant, hash) = (tenant.to_string(), Sha256::digest(idempotency_key).to_vec());
        let written = self.database.write("remember", move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT request_sha256, task_id FROM idempotency_keys WHERE tenant = ? AND hash = ? AND kept_until >= ?",
            )?;
            let valid = select.query_row(params![tenant, hash, now.as_millisecond()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            });
            if let Some((request_sha256, task_id)) = valid.optional()? {
                let task_id = task_id.parse().map_err(|error| unparsable(1, error))?;
                return Ok(KeyRecord { request_sha256, task_id });
            }
            connection
                .prepare_cached("INSERT OR REPLACE INTO idempotency_keys VALUES (?, ?, ?, ?, ?)")?
                .execute(params![
                    tenant,
                    hash,
                    record.request_sha256,
                    record.task_id.to_string(),
                    (now + KEY_RETENTION).as_millisecond(),
                ])?;
            Ok(record)
        });
        written.await
    }

    async fn list_page(
        &self,
        tenant: &Tenant,
        filter: &TaskFilter,
        below: Option<TaskId>,
        limit: usize,
        until: Instant,
    ) -> Result<ListPage<TaskSummary>, BackendError> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        let range = below.map_or(filter.range(), |below| filter.range().below(below));
        let read = self.database.read("list", move |connection| {
            let mut page = ListPage { entries: Vec::new(), next: None };
            let (lowest, highest) = range.bounds();
            let status = filter.status.map(Status::as_str);
            let mut select = connection.prepare_cached(match status {
                Some(_) => "SELECT id, item FROM tasks WHERE tenant = ? AND id BETWEEN ? AND ? AND status = ? ORDER BY id DESC",
                None => "SELECT id, item FROM tasks WHERE tenant = ? AND id BETWEEN ? AND ? ORDER BY id DESC",
            })?;
            let mut rows = match status {
                Some(status) => select.query([tenant.as_str(), &lowest, &highest, status])?,
                None => select.query([tenant.as_str(), &lowest, &highest])?,
            };
            let mut last = None;
            let mut read = 0;
            while let Some(row) = rows.next()? {
                if page.entries.len() == limit || read == MAX_LIST_READ || (read > 0 && Instant::now() >= until) {
                    page.next = last;
                    break;
                }
                read += 1;
                let id: String = row.get(0)?;
                last = id.parse().ok();
                let item: Item = parse(&row.get::<_, String>(1)?)?;
                page.entries.extend(parse_or_skip(item, &id).filter(|task| filter.matches(task)));
            }
            Ok(page)
        });
        read.await
    }

    async fn failed_page(
        &self,
        tenant: &Tenant,
        range: IdRange,
        limit: usize,
    ) -> Result<ListPage<TaskId>, BackendError> {
        let tenant = tenant.clone();
        let read = self.database.read("failed_ids", move |connection| {
            let (lowest, highest) = range.bounds();
            let mut select = connection.prepare_cached(
                "SELECT id FROM tasks WHERE tenant = ? AND status = ? AND id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?",
            )?;
            let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
            let ids = select.query_map(
                params![tenant.as_str(), Status::Failed.as_str(), lowest, highest, most],
                |row| row.get::<_, String>(0),
            )?;
            let mut entries = Vec::new();
            for id in ids {
                entries.push(id?.parse::<TaskId>().map_err(|error| unparsable(0, error))?);
            }
            let has_more = entries.len() > limit;
            entries.truncate(limit);
            Ok(ListPage { next: entries.last().copied().filter(|_| has_more), entries })
        });
        read.await
    }
}

impl TaskStore for Tasks {
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
        Box::pin(async move {
            let (tenant, id) = (tenant.clone(), id.to_string());
            let read = self.database.read("get", move |connection| {
                let item = read_item(connection, tenant.as_str(), &id)?;
                item.map(parse_item).transpose()
            });
            read.await
        })
    }

    fn get_many(&self, keys: Vec<(Tenant, TaskId)>) -> BackendFuture<'_, Vec<Task>> {
        Box::pin(self.get_all(keys))
    }

    fn summaries<'a>(&'a self, tenant: &'a Tenant, ids: Vec<TaskId>) -> BackendFuture<'a, Vec<TaskSummary>> {
        let keys = ids.into_iter().map(|id| (tenant.clone(), id)).collect();
        Box::pin(self.get_all(keys))
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
        _until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskId>> {
        Box::pin(self.failed_page(tenant, range, limit))
    }

    fn changed(&self, id: TaskId) -> BoxFuture<'static, ()> {
        self.watchers.changed(id)
    }

    fn due(&self, by: Timestamp) -> Box<dyn DueTasks + '_> {
        Box::new(DuePages {
            tasks: self,
            by: by.as_millisecond(),
            after: Some((i64::MIN, 0)),
        })
    }
}

/// The tasks that are due, longest first.
#[derive(Debug)]
struct DuePages<'a> {
    tasks: &'a Tasks,
    by: i64,
    /// The due time and row of the last one; `None` when all were read.
    after: Option<(i64, i64)>,
}

impl DueTasks for DuePages<'_> {
    fn next_page(&mut self, limit: usize) -> BoxFuture<'_, Option<Result<Vec<Due>, BackendError>>> {
        Box::pin(async move {
            let (due_at, row) = self.after.take()?;
            let by = self.by;
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let read = self.tasks.database.read("due", move |connection| {
                let mut select = connection.prepare_cached(
                    "SELECT due_at, rowid, tenant, id FROM tasks
                     WHERE due_at <= ? AND (due_at, rowid) > (?, ?) ORDER BY due_at, rowid LIMIT ?",
                )?;
                let rows = select.query_map(params![by, due_at, row, most], |row| {
                    let key = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
                    Ok((key, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
                })?;
                rows.collect::<rusqlite::Result<Vec<_>>>()
            });
            let rows = match read.await {
                Ok(rows) => rows,
                Err(error) => return Some(Err(error)),
            };
            self.after = rows.last().map(|(key, ..)| *key).filter(|_| rows.len() == limit);
            let due = rows.into_iter().filter_map(|(_, tenant, id)| {
                Some(Due {
                    tenant: tenant.try_into().ok()?,
                    id: id.parse().ok()?,
                })
            });
            Some(Ok(due.collect()))
        })
    }
}

fn insert(connection: &Connection, tenant: &str, id: &str, item: &Item) -> rusqlite::Result<()> {
    keep_payloads(connection, None, item)?;
    write_item(connection, tenant, id, item)?;
    let now = Timestamp::now().as_millisecond();
    append_change(connection, tenant, now, None, Some(item))
}

/// Parses one of many items. An item that can't be parsed is logged and skipped: a newer release may have written it, and the
/// other items must not wait for it.
fn parse_or_skip<T: DeserializeOwned>(item: Item, id: &str) -> Option<T> {
    let parsed = parse_item(item);
    parsed
        .inspect_err(|error| tracing::error!(event = "item_skipped", task_id = id, %error, "an item can't be parsed; it is skipped"))
        .ok()
}

fn unparsable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

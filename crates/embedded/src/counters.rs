//! The counters and change logs of the tenants, and the outbox that they are counted from.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use mesh_backend::{BackendError, BackendFuture, BoxFuture, CounterStore, LOG_RETENTION};
use mesh_stats::{Change, Record, Sequence, Snapshot, TenantCounters};
use mesh_task::Tenant;
use rusqlite::{Connection, OptionalExtension, params};

use crate::changes::Watchers;
use crate::database::Database;
use crate::item::{parse, to_text};

/// The counter store of the data folder.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) database: Arc<Database>,
    pub(crate) watchers: Watchers<Tenant>,
}

impl Counters {
    /// The oldest changes that are not counted yet, in the order in which they were made, up to `most`.
    pub(crate) async fn uncounted(&self, most: usize) -> Result<Vec<Record>, BackendError> {
        let read = self.database.read("uncounted", move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT number, written_at, before, after FROM outbox ORDER BY number LIMIT ?",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let mut rows = select.query([most])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                let snapshot = |text: Option<String>| text.map(|text| parse::<Snapshot>(&text)).transpose();
                let written_at = Timestamp::from_millisecond(row.get(1)?);
                records.push(Record {
                    sequence: sequence(row.get(0)?),
                    written_at: written_at.unwrap_or_default(),
                    old: snapshot(row.get(2)?)?,
                    new: snapshot(row.get(3)?)?,
                });
            }
            Ok(records)
        });
        read.await
    }

    async fn count_records(&self, tenant: &Tenant, records: &[Record]) -> Result<Vec<Change>, BackendError> {
        let owner = tenant.clone();
        let (tenant, records) = (tenant.to_string(), records.to_vec());
        let written = self.database.write("count", move |connection| {
            // What is not in the outbox any more was counted.
            let mut remove = connection.prepare_cached("DELETE FROM outbox WHERE number = ?")?;
            let mut counted = HashSet::new();
            for record in &records {
                let number: i64 = record.sequence.to_string().parse().unwrap_or(0);
                if remove.execute([number])? == 0 {
                    counted.insert(record.sequence.clone());
                }
            }
            let counters = read_counters(connection, &tenant)?;
            let now = Timestamp::now();
            let Some(next) = counters.fold(&records, &counted, now) else {
                return Ok(Vec::new());
            };
            let mut log = connection.prepare_cached("INSERT INTO change_log VALUES (?, ?, ?, ?)")?;
            for (number, change) in (counters.last + 1..).zip(&next.latest.changes) {
                log.execute(params![tenant, number, now.as_millisecond(), to_text(change)?])?;
            }
            connection
                .prepare_cached("INSERT OR REPLACE INTO counters VALUES (?, ?)")?
                .execute([&tenant, &to_text(&next)?])?;
            Ok(next.latest.changes)
        });
        let changes = written.await?;
        if !changes.is_empty() {
            self.watchers.wake(&owner);
        }
        Ok(changes)
    }

    async fn changes_after(
        &self,
        tenant: &Tenant,
        last: u64,
        after: u64,
        limit: usize,
    ) -> Result<Option<Vec<(u64, Change)>>, BackendError> {
        if after > last {
            return Ok(None);
        }
        let tenant = tenant.to_string();
        let read = self.database.read("changes", move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT number, change FROM change_log
                 WHERE tenant = ? AND number > ? AND number <= ? AND logged_at > ? ORDER BY number LIMIT ?",
            )?;
            // An expired entry counts as deleted, as it may be at any time.
            let retained = (Timestamp::now() - LOG_RETENTION).as_millisecond();
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = select.query(params![tenant, after, last, retained, limit])?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next()? {
                changes.push((row.get(0)?, parse(&row.get::<_, String>(1)?)?));
            }
            let first = changes.first().map(|(number, _): &(u64, Change)| *number);
            let is_whole = first.unwrap_or(last + 1) == after + 1;
            Ok(is_whole.then_some(changes))
        });
        read.await
    }
}

impl CounterStore for Counters {
    fn counters<'a>(&'a self, tenant: &'a Tenant) -> BackendFuture<'a, TenantCounters> {
        Box::pin(async move {
            let tenant = tenant.to_string();
            let read = self
                .database
                .read("counters", move |connection| read_counters(connection, &tenant));
            read.await
        })
    }

    fn changes<'a>(
        &'a self,
        tenant: &'a Tenant,
        counters: &'a TenantCounters,
        after: u64,
        limit: usize,
    ) -> BackendFuture<'a, Option<Vec<(u64, Change)>>> {
        Box::pin(self.changes_after(tenant, counters.last, after, limit))
    }

    fn changed(&self, tenant: &Tenant) -> BoxFuture<'static, ()> {
        self.watchers.changed(tenant.clone())
    }

    fn count<'a>(&'a self, tenant: &'a Tenant, records: &'a [Record]) -> BackendFuture<'a, Vec<Change>> {
        Box::pin(self.count_records(tenant, records))
    }
}

fn read_counters(connection: &Connection, tenant: &str) -> rusqlite::Result<TenantCounters> {
    let mut select = connection.prepare_cached("SELECT counters FROM counters WHERE tenant = ?")?;
    let text: Option<String> = select.query_row([tenant], |row| row.get(0)).optional()?;
    text.map_or_else(|| Ok(TenantCounters::default()), |text| parse(&text))
}

/// The number of a row of the outbox, as the counters compare it.
fn sequence(number: i64) -> Sequence {
    // A row's number is above 0.
    Sequence::try_from(number.to_string()).unwrap_or_else(|_| sequence(0))
}

//! The table of counters and change logs: for each tenant its [`TenantCounters`], and the older parts of its change log.
//!
//! It is not the task table, since its content follows from that table's stream: its own writes would cause further ones. A
//! tenant's partition contains the counters at position 0, and each part of the log at the number of its last change.

use std::collections::HashSet;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use jiff::{SignedDuration, Timestamp};
use mesh_backend::{BackendError, BackendFuture, CounterStore, LOG_RETENTION};
use mesh_stats::{Change, Logged, Record, TenantCounters};
use mesh_task::Tenant;
use tokio::time::sleep;

use crate::error::{from_sdk, setup};
use crate::item::{Item, number, read, string};

/// How many parts of the log are read at a time.
const PAGE: i32 = 25;
/// How often a lost compare-and-set is tried again. Several stream shards contain one tenant's tasks, so writers compete.
const TRIES: u32 = 20;
/// The longest pause before the second try, in milliseconds; it grows by as much with each further try.
const PAUSE: u64 = 20;
/// The largest difference between DynamoDB's clock and a function's.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

/// The DynamoDB table of counters and change logs.
#[derive(Debug, Clone)]
pub struct StatsTable {
    client: Client,
    name: String,
}

impl StatsTable {
    #[must_use]
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self {
            client: crate::client::dynamodb(config),
            name,
        }
    }

    async fn read_counters(&self, tenant: &Tenant) -> Result<TenantCounters, BackendError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(tenant, 0)))
            .consistent_read(true);
        let item = get.send().await.map_err(from_sdk("GetItem"))?.item;
        item.map_or_else(|| Ok(TenantCounters::default()), |item| read(item, "GetItem"))
    }

    /// Replaces a tenant's counters if they are still `before` (compare-and-set by version), and returns whether it did. If the
    /// SDK sends the write twice because a response was lost, the result is false although it was applied: the caller reads
    /// again, and finds its records counted.
    ///
    /// # Errors
    /// When the table did not answer; the counters may have been replaced.
    pub async fn replace(
        &self,
        tenant: &Tenant,
        before: &TenantCounters,
        after: &TenantCounters,
    ) -> Result<bool, BackendError> {
        // A concurrent writer writes the same part: it follows from `before` alone.
        if !before.latest.changes.is_empty() && before.last != after.last {
            let mut item = write(&before.latest, tenant, before.last)?;
            let expires_at = before.latest.at + LOG_RETENTION;
            item.insert("expires_at".to_owned(), number(expires_at.as_second()));
            let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
            put.send().await.map_err(from_sdk("PutItem"))?;
        }
        let item = write(after, tenant, 0)?;
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let put = if before.version == 0 {
            put.condition_expression("attribute_not_exists(#position)")
                .expression_attribute_names("#position", "position")
        } else {
            put.condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", number(before.version))
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(from_sdk("PutItem")(error)),
            },
        }
    }

    async fn count_records(&self, tenant: &Tenant, records: &[Record]) -> Result<Vec<Change>, BackendError> {
        for tried in 0..TRIES {
            let counters = self.read_counters(tenant).await?;
            let first = counters
                .possible_repeats(records)
                .map(|record| record.written_at)
                .min();
            let counted: HashSet<_> = match first {
                None => HashSet::new(),
                Some(first) => {
                    let log = self.log_since(tenant, &counters, first - SKEW).await?;
                    log.into_iter().map(|change| change.sequence).collect()
                }
            };
            let Some(next) = counters.fold(records, &counted, Timestamp::now()) else {
                return Ok(Vec::new());
            };
            if self.replace(tenant, &counters, &next).await? {
                return Ok(next.latest.changes);
            }
            let pause = fastrand::u64(..=PAUSE * u64::from(tried + 1));
            sleep(Duration::from_millis(pause)).await;
        }
        Err(BackendError::contended("PutItem"))
    }

    /// A tenant's changes since a time, or since a little earlier, up to the end of these counters, as far as they are
    /// retained.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn log_since(
        &self,
        tenant: &Tenant,
        counters: &TenantCounters,
        since: Timestamp,
    ) -> Result<Vec<Change>, BackendError> {
        let mut parts = vec![counters.latest.clone()];
        let mut before = counters.before_latest();
        while before > 0 && parts.last().is_some_and(|part| part.at >= since) {
            let query = self
                .query(tenant)
                .scan_index_forward(false)
                .key_condition_expression("tenant = :tenant AND #position BETWEEN :one AND :before")
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":before", number(before));
            let page = page(query).await?;
            let Some((first, _)) = page.last() else { break };
            before = first - 1;
            parts.extend(page.into_iter().map(|(_, part)| part));
        }
        let changes = parts.into_iter().rev().flat_map(|part| part.changes);
        Ok(changes.collect())
    }

    async fn changes_after(
        &self,
        tenant: &Tenant,
        counters: &TenantCounters,
        after: u64,
        limit: usize,
    ) -> Result<Option<Vec<(u64, Change)>>, BackendError> {
        if after > counters.last {
            return Ok(None);
        }
        let mut changes: Vec<(u64, Change)> = Vec::new();
        let now = Timestamp::now().as_second();
        while changes.len() < limit {
            let next = after + changes.len() as u64 + 1;
            if next > counters.before_latest() {
                changes.extend(numbered(&counters.latest, counters.last, next));
                break;
            }
            let query = self
                .query(tenant)
                .key_condition_expression("tenant = :tenant AND #position >= :next")
                .expression_attribute_values(":next", number(next))
                // TTL may delete an expired part at any time. An expired part counts as deleted, so that no caller sees a gap.
                .filter_expression("expires_at > :now")
                .expression_attribute_values(":now", number(now));
            let mut found = false;
            for (first, part) in page(query).await? {
                let next = after + changes.len() as u64 + 1;
                if first > next {
                    return Ok(None);
                }
                found = true;
                let last = first + part.changes.len() as u64 - 1;
                changes.extend(numbered(&part, last, next));
            }
            if !found {
                return Ok(None);
            }
        }
        Ok(Some(changes))
    }

    /// Every tenant that has counters. It reads the whole table.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, BackendError> {
        let scan = self
            .client
            .scan()
            .table_name(&self.name)
            .filter_expression("#position = :counters")
            .projection_expression("tenant")
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":counters", number(0));
        let items: Result<Vec<Item>, _> = scan.into_paginator().items().send().try_collect().await;
        let items = items.map_err(from_sdk("Scan"))?;
        let tenants = items.into_iter().filter_map(|item| {
            let tenant = item.get("tenant")?.as_s().ok()?;
            Tenant::try_from(tenant.clone()).ok()
        });
        Ok(tenants.collect())
    }

    fn query(&self, tenant: &Tenant) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        query
            .limit(PAGE)
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":tenant", string(tenant.to_string()))
    }
}

impl CounterStore for StatsTable {
    fn counters<'a>(&'a self, tenant: &'a Tenant) -> BackendFuture<'a, TenantCounters> {
        Box::pin(self.read_counters(tenant))
    }

    fn changes<'a>(
        &'a self,
        tenant: &'a Tenant,
        counters: &'a TenantCounters,
        after: u64,
        limit: usize,
    ) -> BackendFuture<'a, Option<Vec<(u64, Change)>>> {
        Box::pin(self.changes_after(tenant, counters, after, limit))
    }

    fn count<'a>(&'a self, tenant: &'a Tenant, records: &'a [Record]) -> BackendFuture<'a, Vec<Change>> {
        Box::pin(self.count_records(tenant, records))
    }
}

/// Parts of the log in the order of the query, each with the number of its first change.
async fn page(query: QueryFluentBuilder) -> Result<Vec<(u64, Logged)>, BackendError> {
    const CALL: &str = "Query";
    let found = query.send().await.map_err(from_sdk(CALL))?;
    let parts = found.items.unwrap_or_default().into_iter().map(|item| {
        let last = item
            .get("position")
            .and_then(|position| position.as_n().ok()?.parse().ok());
        let last: u64 = last.unwrap_or_default();
        let part: Logged = read(item, CALL)?;
        Ok(((last + 1).saturating_sub(part.changes.len() as u64), part))
    });
    parts.collect()
}

/// The changes of a part from number `next` on.
fn numbered(part: &Logged, last: u64, next: u64) -> impl Iterator<Item = (u64, Change)> {
    let first = (last + 1).saturating_sub(part.changes.len() as u64);
    let numbered = (first..).zip(part.changes.iter().cloned());
    numbered.filter(move |(number, _)| *number >= next)
}

fn write(what: &impl serde::Serialize, tenant: &Tenant, position: u64) -> Result<Item, BackendError> {
    let mut item: Item = serde_dynamo::to_item(what).map_err(|error| setup("PutItem", error))?;
    item.extend(key(tenant, position));
    Ok(item)
}

fn key(tenant: &Tenant, position: u64) -> Item {
    Item::from([
        ("tenant".to_owned(), string(tenant.to_string())),
        ("position".to_owned(), number(position)),
    ])
}

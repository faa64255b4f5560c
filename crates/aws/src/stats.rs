//! The table of counters and change logs: a [`TenantCounters`] for each tenant, and the part of its change log that is no longer in
//! it.
//!
//! It is apart from the task table, whose stream it follows from: there it would be its own cause. A tenant's partition
//! holds the book at position 0 and the log's parts at the number of their last change.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use jiff::Timestamp;
use mesh_stats::{Change, Logged, TenantCounters};
use mesh_task::Tenant;

use crate::AwsError;
use crate::item::{Item, number, read, string};

/// How long a part of the log is kept. Ten minutes are promised; as long as the reactor's event source may repeat a record,
/// and as long as a rebuild may run, it is needed here.
const KEPT: Duration = Duration::from_hours(2);
/// How many parts of the log are read at a time.
const PAGE: i32 = 25;

/// The DynamoDB table of counters and change logs.
#[derive(Debug, Clone)]
pub struct StatsTable {
    client: Client,
    name: String,
}

impl StatsTable {
    /// The table of that name.
    #[must_use]
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self {
            client: crate::client::dynamodb(config),
            name,
        }
    }

    /// A tenant's book; an empty one if nothing of it was counted yet.
    ///
    /// # Errors
    /// When the table did not answer, or holds what is no book.
    pub async fn book(&self, tenant: &Tenant) -> Result<TenantCounters, AwsError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(tenant, 0)))
            .consistent_read(true);
        let item = get.send().await.map_err(AwsError::of("GetItem"))?.item;
        item.map_or_else(|| Ok(TenantCounters::default()), |item| read(item, "GetItem"))
    }

    /// Writes a tenant's book, if nobody has since `before` was read, and tells whether it did. A client that sends it
    /// twice by itself is told no, though it has landed: a batch that is folded in anew finds itself counted.
    ///
    /// # Errors
    /// When the table did not answer; the book may have been written.
    pub async fn replace(
        &self,
        tenant: &Tenant,
        before: &TenantCounters,
        after: &TenantCounters,
    ) -> Result<bool, AwsError> {
        // Whoever comes next writes the same there: it follows from the book that stands.
        if !before.latest.changes.is_empty() && before.last != after.last {
            let mut item = write(&before.latest, tenant, before.last)?;
            let expires_at = before.latest.at + KEPT;
            item.insert("expires_at".to_owned(), number(expires_at.as_second()));
            let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
            put.send().await.map_err(AwsError::of("PutItem"))?;
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
                _ => Err(AwsError::of("PutItem")(error)),
            },
        }
    }

    /// The changes of a tenant from a time on, or from a little before, up to the end of this book; as far back as they
    /// are kept.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn log_since(
        &self,
        tenant: &Tenant,
        book: &TenantCounters,
        since: Timestamp,
    ) -> Result<Vec<Change>, AwsError> {
        let mut parts = vec![book.latest.clone()];
        let mut before = book.before_latest();
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

    /// The changes that follow number `after`, each with its own number: about `most` of them, up to the end of this book.
    /// None if some of them are not kept any more, or there never was such a number.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn changes(
        &self,
        tenant: &Tenant,
        book: &TenantCounters,
        after: u64,
        most: usize,
    ) -> Result<Option<Vec<(u64, Change)>>, AwsError> {
        if after > book.last {
            return Ok(None);
        }
        let mut changes: Vec<(u64, Change)> = Vec::new();
        let now = Timestamp::now().as_second();
        while changes.len() < most {
            let next = after + changes.len() as u64 + 1;
            if next > book.before_latest() {
                changes.extend(numbered(&book.latest, book.last, next));
                break;
            }
            let query = self
                .query(tenant)
                .key_condition_expression("tenant = :tenant AND #position >= :next")
                .expression_attribute_values(":next", number(next))
                // What has expired may vanish at any time: so that there is no gap, it is gone for all at once.
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

    /// Every tenant that has a book. It reads the whole table.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, AwsError> {
        let scan = self
            .client
            .scan()
            .table_name(&self.name)
            .filter_expression("#position = :book")
            .projection_expression("tenant")
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":book", number(0));
        let items: Result<Vec<Item>, _> = scan.into_paginator().items().send().try_collect().await;
        let items = items.map_err(AwsError::of("Scan"))?;
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

/// Parts of the log as the query orders them, each with the number of its first change.
async fn page(query: QueryFluentBuilder) -> Result<Vec<(u64, Logged)>, AwsError> {
    const CALL: &str = "Query";
    let found = query.send().await.map_err(AwsError::of(CALL))?;
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

fn write(what: &impl serde::Serialize, tenant: &Tenant, position: u64) -> Result<Item, AwsError> {
    let mut item: Item = serde_dynamo::to_item(what).map_err(|error| AwsError::setup("PutItem", error))?;
    item.extend(key(tenant, position));
    Ok(item)
}

fn key(tenant: &Tenant, position: u64) -> Item {
    Item::from([
        ("tenant".to_owned(), string(tenant.to_string())),
        ("position".to_owned(), number(position)),
    ])
}

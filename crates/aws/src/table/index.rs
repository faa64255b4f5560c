//! Ordered queries: a tenant's tasks by id, and the two sparse indexes.

use std::collections::VecDeque;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use jiff::Timestamp;
use mesh_backend::{BackendError, BoxFuture, Due, DueTasks};
use mesh_task::{Field, IdRange, Shard, TaskId, TaskSummary, Tenant};

use super::expression::projection;
use super::{Item, TaskTable, number, parse_or_skip, string};
use crate::error::from_sdk;
use crate::item::text;

/// The tasks that are due, page by page of each shard in turn.
#[derive(Debug)]
pub(super) struct DuePages<'a> {
    table: &'a TaskTable,
    by: Timestamp,
    /// The shards that may have more, each with its last page.
    shards: VecDeque<(Shard, Option<Page<Due>>)>,
}

impl<'a> DuePages<'a> {
    pub(super) fn new(table: &'a TaskTable, by: Timestamp) -> Self {
        Self {
            table,
            by,
            shards: Shard::all().map(|shard| (shard, None)).collect(),
        }
    }
}

impl DueTasks for DuePages<'_> {
    fn next_page(&mut self, limit: usize) -> BoxFuture<'_, Option<Result<Vec<Due>, BackendError>>> {
        Box::pin(async move {
            let (shard, last) = self.shards.pop_front()?;
            match self.table.due_in(shard, self.by, item_limit(limit), last).await {
                Ok(mut page) => {
                    let due = std::mem::take(&mut page.entries);
                    if page.has_next() {
                        self.shards.push_back((shard, Some(page)));
                    }
                    Some(Ok(due))
                }
                // The other shards are read on.
                Err(error) => Some(Err(error)),
            }
        })
    }
}

/// One page of a query, and the key to continue from.
#[derive(Debug)]
pub struct Page<T> {
    /// In the order of the table or index.
    pub entries: Vec<T>,
    pub(super) next: Option<Item>,
}

impl<T> Page<T> {
    fn new(entries: Vec<T>, next: Option<Item>) -> Self {
        Self {
            entries,
            next: next.filter(|key| !key.is_empty()),
        }
    }

    /// Whether there may be another page.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// The id of the last item that was read, if there may be another page. It is missing among the entries if that item
    /// could not be parsed.
    #[must_use]
    pub fn last_read(&self) -> Option<TaskId> {
        text(self.next.as_ref()?, "id")?.parse().ok()
    }
}

impl TaskTable {
    /// The tasks of a shard that are in flight and due at `by`, in order of their due time, after those of the page `last`.
    ///
    /// # Errors
    /// When the table did not answer.
    pub(super) async fn due_in(
        &self,
        shard: Shard,
        by: Timestamp,
        limit: i32,
        last: Option<Page<Due>>,
    ) -> Result<Page<Due>, BackendError> {
        let query = self
            .query("due", limit)
            .key_condition_expression("#shard = :shard AND #due <= :by")
            .expression_attribute_names("#shard", Field::DueShard.name())
            .expression_attribute_names("#due", Field::DueAt.name())
            .expression_attribute_values(":shard", string(shard.to_string()))
            .expression_attribute_values(":by", number(by.as_millisecond()))
            .set_exclusive_start_key(last.and_then(|page| page.next));
        let found = query.send().await.map_err(from_sdk("Query"))?;
        let entries = found.items.unwrap_or_default().into_iter().filter_map(|item| {
            let tenant = text(&item, "tenant_shard")?.rsplit_once('#')?.0.to_owned();
            Some(Due {
                tenant: tenant.try_into().ok()?,
                id: text(&item, "id")?.parse().ok()?,
            })
        });
        Ok(Page::new(entries.collect(), found.last_evaluated_key))
    }

    /// The summaries of a tenant's tasks in one shard, newest first. The read is eventually consistent.
    ///
    /// # Errors
    /// When the table did not answer.
    pub(super) async fn newest(
        &self,
        tenant: &Tenant,
        shard: Shard,
        range: IdRange,
        limit: i32,
    ) -> Result<Page<TaskSummary>, BackendError> {
        const PARTITION: &str = "tenant_shard";
        let query = self.client.query().table_name(&self.name).limit(limit);
        let mut query = within(query, PARTITION, tenant, shard, range);
        if let Some((projection, names)) = projection(&TaskSummary::ATTRIBUTES) {
            query = query.projection_expression(projection);
            for (placeholder, name) in names {
                query = query.expression_attribute_names(placeholder, name);
            }
        }
        let found = query.send().await.map_err(from_sdk("Query"))?;
        let items = found.items.unwrap_or_default().into_iter();
        let entries = items.filter_map(|item| parse_or_skip(item, "Query")).collect();
        Ok(Page::new(entries, found.last_evaluated_key))
    }

    /// The ids of a tenant's failed tasks in one shard, newest first.
    ///
    /// # Errors
    /// When the table did not answer.
    pub(super) async fn failures(
        &self,
        tenant: &Tenant,
        shard: Shard,
        range: IdRange,
        limit: i32,
    ) -> Result<Page<TaskId>, BackendError> {
        let query = self.query("failures", limit);
        let query = within(query, Field::FailedTenantShard.name(), tenant, shard, range);
        let found = query.send().await.map_err(from_sdk("Query"))?;
        let ids = found.items.unwrap_or_default().into_iter();
        let ids = ids.filter_map(|item| text(&item, "id")?.parse().ok());
        Ok(Page::new(ids.collect(), found.last_evaluated_key))
    }

    fn query(&self, index: &str, limit: i32) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name);
        query.index_name(index).limit(limit)
    }
}

pub(super) fn item_limit(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

/// Limits a query to a range of a tenant's ids in one shard of the table or of an index, newest first.
fn within(
    query: QueryFluentBuilder,
    partition: &str,
    tenant: &Tenant,
    shard: Shard,
    range: IdRange,
) -> QueryFluentBuilder {
    let (lowest, highest) = range.bounds();
    query
        .scan_index_forward(false)
        .key_condition_expression("#partition = :partition AND #id BETWEEN :lowest AND :highest")
        .expression_attribute_names("#partition", partition)
        .expression_attribute_names("#id", "id")
        .expression_attribute_values(":partition", string(shard.partition(tenant)))
        .expression_attribute_values(":lowest", string(lowest))
        .expression_attribute_values(":highest", string(highest))
}

//! The two sparse indexes, and reading many tasks at once.

use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use jiff::Timestamp;
use mesh_task::{Field, Task, TaskId, Tenant};

use super::{Item, TaskTable, key, number, read, string};
use crate::CloudError;

/// The most items that one BatchGetItem takes.
const BATCH: usize = 100;
/// How often what a BatchGetItem left out under load is asked for again.
const TRIES: u32 = 5;

/// The key of a task that is due.
#[derive(Debug, Clone)]
pub struct Due {
    /// Its owner.
    pub tenant: Tenant,
    /// The task.
    pub id: TaskId,
}

/// Part of what an index holds, and where to go on; none at the end.
#[derive(Debug)]
pub struct Page<T> {
    /// In the index's order.
    pub entries: Vec<T>,
    pub(super) next: Option<Item>,
}

impl<T> Page<T> {
    /// Whether more follows.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

impl TaskTable {
    /// The tasks of a shard that are in flight and due by then, the longest due first, after those of `last`.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn due(
        &self,
        shard: &str,
        by: Timestamp,
        limit: i32,
        last: Option<Page<Due>>,
    ) -> Result<Page<Due>, CloudError> {
        let query = self
            .query("due", limit)
            .key_condition_expression("#shard = :shard AND #due <= :by")
            .expression_attribute_names("#shard", Field::DueShard.name())
            .expression_attribute_names("#due", Field::DueAt.name())
            .expression_attribute_values(":shard", string(shard))
            .expression_attribute_values(":by", number(by.as_millisecond()))
            .set_exclusive_start_key(last.and_then(|page| page.next));
        let found = query.send().await.map_err(CloudError::of("Query"))?;
        let entries = found.items.unwrap_or_default().into_iter().filter_map(|item| {
            let tenant = text(&item, "tenant_shard")?.rsplit_once('#')?.0.to_owned();
            Some(Due {
                tenant: tenant.try_into().ok()?,
                id: text(&item, "id")?.parse().ok()?,
            })
        });
        Ok(Page {
            entries: entries.collect(),
            next: found.last_evaluated_key.filter(|key| !key.is_empty()),
        })
    }

    /// The ids of a tenant's failed tasks in one shard, newest first, older than `before`.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn failures(
        &self,
        tenant: &Tenant,
        shard: u8,
        before: Option<TaskId>,
        limit: i32,
    ) -> Result<Vec<TaskId>, CloudError> {
        let query = self
            .query("failures", limit)
            .scan_index_forward(false)
            .expression_attribute_names("#partition", Field::FailedTenantShard.name())
            .expression_attribute_values(":partition", string(format!("{tenant}#{shard:x}")));
        let query = match before {
            Some(before) => query
                .key_condition_expression("#partition = :partition AND id < :before")
                .expression_attribute_values(":before", string(before.to_string())),
            None => query.key_condition_expression("#partition = :partition"),
        };
        let found = query.send().await.map_err(CloudError::of("Query"))?;
        let ids = found.items.unwrap_or_default().into_iter();
        Ok(ids.filter_map(|item| text(&item, "id")?.parse().ok()).collect())
    }

    /// Reads many tasks, in no order; those that are gone are missing.
    ///
    /// # Errors
    /// When the table did not answer, or left some out again and again.
    pub async fn get_many(
        &self,
        keys: impl IntoIterator<Item = (&Tenant, TaskId)>,
    ) -> Result<Vec<Task>, CloudError> {
        let mut keys: Vec<_> = keys.into_iter().map(|(tenant, id)| key(tenant, id)).collect();
        let mut tasks = Vec::new();
        let mut left_out = 0;
        while !keys.is_empty() {
            let rest = keys.split_off(keys.len().min(BATCH));
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(|error| CloudError::setup("BatchGetItem", error))?;
            let get = self.client.batch_get_item().request_items(&self.name, wanted);
            let got = get.send().await.map_err(CloudError::of("BatchGetItem"))?;
            for item in got
                .responses
                .unwrap_or_default()
                .remove(&self.name)
                .unwrap_or_default()
            {
                tasks.push(read(item, "BatchGetItem")?);
            }
            keys = rest;
            let unprocessed = got.unprocessed_keys.unwrap_or_default().remove(&self.name);
            if let Some(unprocessed) = unprocessed {
                left_out += 1;
                if left_out > TRIES {
                    return Err(CloudError::throttled("BatchGetItem"));
                }
                keys.extend(unprocessed.keys);
                tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(left_out)).await;
            }
        }
        Ok(tasks)
    }

    fn query(&self, index: &str, limit: i32) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name);
        query.index_name(index).limit(limit)
    }
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)
        .and_then(|value| AttributeValue::as_s(value).ok())
        .map(String::as_str)
}

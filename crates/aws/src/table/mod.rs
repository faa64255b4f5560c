//! The task table, which is authoritative for every task's state.
//!
//! A task that runs once costs three writes (create, claim, settle) and no read. Every write after the first is one of the
//! transitions of `mesh_task`. Its condition keeps the promises: two workers can't hold one task, a stale worker can't settle
//! it, and a message for a final task does nothing.

mod batch;
mod expression;
mod idempotency;
mod index;
mod list;
mod scan;
mod store;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use mesh_backend::{BackendError, WriteOutcome};
use mesh_task::{Field, Task, TaskId, Tenant, Write};
use serde::de::DeserializeOwned;

use crate::error::{from_sdk, setup};
use crate::item::{Item, number, read, string, text};

pub use index::Page;

/// The attribute for the write token, a random number that each write leaves on its item. When a response is lost, the SDK
/// sends the write again, and the condition then fails because the first call already applied it. The token on the item
/// shows that the write was this one.
const WRITE_TOKEN: &str = "stamp";

/// The DynamoDB table of tasks.
#[derive(Debug, Clone)]
pub struct TaskTable {
    client: Client,
    name: String,
}

impl TaskTable {
    #[must_use]
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self {
            client: crate::client::dynamodb(config),
            name,
        }
    }

    async fn create_task(&self, task: &Task, retention: Duration) -> Result<Option<Box<Task>>, BackendError> {
        let item = new_item(task, retention)?;
        let write_token = item.get(WRITE_TOKEN).cloned();
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let put = put
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(None),
            Err(error) => match refused_put(error)? {
                existing if existing.get(WRITE_TOKEN) == write_token.as_ref() => Ok(None),
                existing => Ok(Some(Box::new(read(existing, "PutItem")?))),
            },
        }
    }

    /// The read is strongly consistent.
    async fn get_task(&self, tenant: &Tenant, id: TaskId) -> Result<Option<Task>, BackendError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(tenant, id)))
            .consistent_read(true);
        let item = get.send().await.map_err(from_sdk("GetItem"))?.item;
        item.map(|item| read(item, "GetItem")).transpose()
    }

    async fn write_task(
        &self,
        tenant: &Tenant,
        id: TaskId,
        write: &Write,
    ) -> Result<WriteOutcome, BackendError> {
        let write_token = new_write_token();
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(tenant, id)));
        let update = expression::render(write, update)?
            .expression_attribute_names("#write_token", WRITE_TOKEN)
            .expression_attribute_values(":write_token", write_token.clone())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match update.send().await {
            Ok(updated) => return applied(updated.attributes.unwrap_or_default()),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => match refusal.item.clone() {
                Some(item) if item.get(WRITE_TOKEN) == Some(&write_token) => applied(item),
                Some(item) => Ok(WriteOutcome::ConditionFailed(Some(Box::new(read(
                    item,
                    "UpdateItem",
                )?)))),
                None => Ok(WriteOutcome::ConditionFailed(None)),
            },
            _ => Err(from_sdk("UpdateItem")(error)),
        }
    }
}

fn applied(item: Item) -> Result<WriteOutcome, BackendError> {
    Ok(WriteOutcome::Applied(Box::new(read(item, "UpdateItem")?)))
}

/// The item of a new task.
fn new_item(task: &Task, retention: Duration) -> Result<Item, BackendError> {
    let mut item: Item = serde_dynamo::to_item(task).map_err(|error| setup("PutItem", error))?;
    item.extend(key(&task.tenant, task.id));
    let expires_at = task.created_at + retention;
    item.extend([
        (
            Field::DueShard.name().to_owned(),
            string(task.id.shard().to_string()),
        ),
        (Field::ExpiresAt.name().to_owned(), number(expires_at.as_second())),
        (WRITE_TOKEN.to_owned(), new_write_token()),
    ]);
    Ok(item)
}

/// The existing item that made a conditional put fail.
fn refused_put(error: SdkError<PutItemError>) -> Result<Item, BackendError> {
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
            Ok(refusal.item.clone().unwrap_or_default())
        }
        _ => Err(from_sdk("PutItem")(error)),
    }
}

fn new_write_token() -> AttributeValue {
    string(format!("{:016x}", fastrand::u64(..)))
}

fn key(tenant: &Tenant, id: TaskId) -> Item {
    Item::from([
        ("tenant_shard".to_owned(), string(id.shard().partition(tenant))),
        ("id".to_owned(), string(id.to_string())),
    ])
}

/// Parses one of many items. An item that can't be parsed is logged and skipped: a newer release may have written it, and the
/// other items must not wait for it.
fn parse_or_skip<T: DeserializeOwned>(item: Item, call: &'static str) -> Option<T> {
    let id = text(&item, "id").map(ToOwned::to_owned);
    let read = read(item, call);
    read.inspect_err(|error| tracing::error!(event = "item_skipped", task_id = id, %error, "an item can't be parsed; it is skipped"))
        .ok()
}

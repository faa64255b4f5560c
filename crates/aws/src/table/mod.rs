//! The task table: the truth about every task.
//!
//! A task that runs once costs three writes (create, claim, finish) and no read. Every write after the first is one of
//! the moves of `mesh_task`, and its condition is what keeps the promises: two workers can't hold one task, a stale one
//! can't finish it, and a message for a finished one does nothing.

mod batch;
mod expression;
mod idempotency;
mod index;
mod list;
mod scan;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use mesh_task::{Field, Task, TaskId, Tenant, Write};
use serde::de::DeserializeOwned;

use crate::AwsError;
use crate::item::{Item, number, read, string};

pub use idempotency::KeyRecord;
pub use index::{Due, Page};
pub use list::{Continuation, TaskList, TaskPage};

/// What every write leaves on an item: a number of its own. A call whose answer was lost is sent again by the client, and
/// then meets the condition that it broke itself; by its write_token it knows that it has landed.
const WRITE_TOKEN: &str = "stamp";

/// The DynamoDB table of tasks.
#[derive(Debug, Clone)]
pub struct TaskTable {
    client: Client,
    name: String,
}

/// What became of a conditional write.
#[derive(Debug)]
pub enum WriteOutcome {
    /// It landed; the task as it is since.
    Applied(Box<Task>),
    /// The task, if there is one, did not meet the condition.
    ConditionFailed(Option<Box<Task>>),
}

impl TaskTable {
    /// The table of that name.
    #[must_use]
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self {
            client: crate::client::dynamodb(config),
            name,
        }
    }

    /// Writes a new task, once; it expires after `retention`. Answers with the task that already has this id, if there
    /// is one.
    ///
    /// # Errors
    /// When the task may not have been written.
    pub async fn create(&self, task: &Task, retention: Duration) -> Result<Option<Box<Task>>, AwsError> {
        let item = new_item(task, retention)?;
        let write_token = item.get(WRITE_TOKEN).cloned();
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let put = put
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(None),
            Err(error) => match refused_put(error)? {
                standing if standing.get(WRITE_TOKEN) == write_token.as_ref() => Ok(None),
                standing => Ok(Some(Box::new(read(standing, "PutItem")?))),
            },
        }
    }

    /// Reads a task; none if that tenant has none of that id.
    ///
    /// # Errors
    /// When the table did not answer, or holds what is no task.
    pub async fn get(&self, tenant: &Tenant, id: TaskId) -> Result<Option<Task>, AwsError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(tenant, id)))
            .consistent_read(true);
        let item = get.send().await.map_err(AwsError::of("GetItem"))?.item;
        item.map(|item| read(item, "GetItem")).transpose()
    }

    /// Sends one of a task's moves.
    ///
    /// # Errors
    /// When the table did not answer; the write may have landed.
    pub async fn write(&self, tenant: &Tenant, id: TaskId, write: &Write) -> Result<WriteOutcome, AwsError> {
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
            _ => Err(AwsError::of("UpdateItem")(error)),
        }
    }

    /// Makes the connection, so that the first real call does not wait for it. A table that refuses is left to the
    /// first real call to report.
    pub async fn warm(&self) {
        if let Err(error) = self.check().await {
            tracing::warn!(%error, "the task table is not warm");
        }
    }

    /// Looks for a task that is not there.
    ///
    /// # Errors
    /// When the table did not answer.
    pub async fn check(&self) -> Result<(), AwsError> {
        self.get(&Tenant::first(), TaskId::generate()).await?;
        Ok(())
    }
}

fn applied(item: Item) -> Result<WriteOutcome, AwsError> {
    Ok(WriteOutcome::Applied(Box::new(read(item, "UpdateItem")?)))
}

/// The item of a task that was just accepted.
fn new_item(task: &Task, retention: Duration) -> Result<Item, AwsError> {
    let mut item: Item = serde_dynamo::to_item(task).map_err(|error| AwsError::setup("PutItem", error))?;
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

/// The item that stood in a put's way.
fn refused_put(error: SdkError<PutItemError>) -> Result<Item, AwsError> {
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
            Ok(refusal.item.clone().unwrap_or_default())
        }
        _ => Err(AwsError::of("PutItem")(error)),
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

/// One of many items. Where it can't be read it is logged and left out: a newer release may have written it, and it would
/// hold up all the others.
fn parse_or_skip<T: DeserializeOwned>(item: Item, call: &'static str) -> Option<T> {
    let id = index::text(&item, "id").map(ToOwned::to_owned);
    let read = read(item, call);
    read.inspect_err(|error| tracing::error!(task_id = id, %error, "an item can't be read; it is left out"))
        .ok()
}

//! The task table: the truth about every task.
//!
//! A task that runs once costs three writes (create, claim, finish) and no read. Every write after the first is
//! conditional, and the condition is what keeps the promises: two workers can't hold one task, a stale one can't
//! finish it, and a message for a finished one does nothing.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use mesh_task::{Failure, Message, Status, Task, TaskId, TaskResult, Tenant};
use serde::Serialize;

use crate::CloudError;

type Item = HashMap<String, AttributeValue>;

/// How long after its creation a task that is still in flight becomes due for the safety net.
const DUE_AFTER: Duration = Duration::from_secs(60);
/// Two machines' clocks may differ by this much. A message that comes a little early is not worth a receive.
const CLOCK_MARGIN: Duration = Duration::from_secs(1);

/// The DynamoDB table of tasks.
#[derive(Debug, Clone)]
pub struct TaskTable {
    client: Client,
    name: String,
}

/// What became of an attempt to claim a task.
#[derive(Debug)]
pub enum Claim {
    /// It is the caller's until the lease ends.
    Won(Box<Task>),
    /// Its last attempt did not end by itself: claim it as [`Claimant::Alone`] when nothing else is at stake.
    Suspect {
        /// How many attempts in a row did not.
        suspicion: u32,
    },
    /// Not free before then: it rests after a failure, or another worker holds it.
    NotBefore(Timestamp),
    /// Nothing is left to do: it is final, gone, or of a newer generation than the message.
    Over,
}

/// How a worker means to run what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimant {
    /// Together with others, which a crash would take along.
    InBatch,
    /// By itself.
    Alone,
}

impl TaskTable {
    /// The table of that name.
    #[must_use]
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self {
            client: Client::new(config),
            name,
        }
    }

    /// Writes a new task, once. It expires after `retention`.
    ///
    /// # Errors
    /// When the task may not have been written.
    pub async fn create(&self, task: &Task, retention: Duration) -> Result<(), CloudError> {
        let mut item: Item =
            serde_dynamo::to_item(task).map_err(|error| CloudError::setup("PutItem", error))?;
        item.extend(key(&task.tenant, task.id));
        let created = task.created_at.as_second();
        let after = |time: Duration| number(created.saturating_add_unsigned(time.as_secs()));
        item.insert("due_shard".to_owned(), string(format!("{:x}", task.id.shard())));
        item.insert("due_at".to_owned(), after(DUE_AFTER));
        item.insert("expires_at".to_owned(), after(retention));
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.condition_expression("attribute_not_exists(id)")
            .send()
            .await
            .map_err(CloudError::of("PutItem"))?;
        Ok(())
    }

    /// Reads a task; none if that tenant has none of that id.
    ///
    /// # Errors
    /// When the table did not answer, or holds what is no task.
    pub async fn get(&self, tenant: &Tenant, id: TaskId) -> Result<Option<Task>, CloudError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(tenant, id)))
            .consistent_read(true);
        let item = get.send().await.map_err(CloudError::of("GetItem"))?.item;
        item.map(|item| read(item, "GetItem")).transpose()
    }

    /// Takes the task that a message rings for, until `lease_until`. One conditional write; nobody else can hold it then.
    ///
    /// # Errors
    /// When the table did not answer. The claim may have been written: its lease will run out.
    pub async fn claim(
        &self,
        message: &Message,
        claimant: Claimant,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claim, CloudError> {
        const FREE: &str = "generation = :generation AND \
            ((#status = :pending AND (attribute_not_exists(next_attempt_at) OR next_attempt_at <= :soon)) \
            OR (#status = :processing AND lease_until < :now))";
        let condition = match claimant {
            Claimant::InBatch => format!("{FREE} AND suspicion = :zero"),
            Claimant::Alone => FREE.to_owned(),
        };
        let update = self
            .update(&message.tenant, message.id)
            .condition_expression(condition)
            .update_expression(
                "SET #status = :processing, attempt = attempt + :one, fence = fence + :one, \
                 suspicion = suspicion + :one, lease_until = :lease, updated_at = :now REMOVE next_attempt_at",
            )
            .expression_attribute_values(":generation", number(message.generation))
            .expression_attribute_values(":pending", string(Status::Pending.as_str()))
            .expression_attribute_values(":processing", string(Status::Processing.as_str()))
            .expression_attribute_values(":soon", millis(now + CLOCK_MARGIN))
            .expression_attribute_values(":now", millis(now))
            .expression_attribute_values(":lease", millis(lease_until))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match claimant {
            Claimant::InBatch => update.expression_attribute_values(":zero", number(0)),
            Claimant::Alone => update,
        };
        match conditional(update).await? {
            Ok(item) => Ok(Claim::Won(Box::new(read(item, "UpdateItem")?))),
            Err(None) => Ok(Claim::Over),
            Err(Some(item)) => Ok(refused(&read(item, "UpdateItem")?, message, now)),
        }
    }

    /// Writes the result of a task that the caller has claimed. False if another has claimed it since.
    ///
    /// # Errors
    /// When the table did not answer; the result may have been written.
    pub async fn complete(
        &self,
        task: &Task,
        result: &TaskResult,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let update = self
            .finish(task, Status::Completed, now)
            .update_expression(
                "SET #status = :status, #result = :result, suspicion = :zero, updated_at = :now \
                 REMOVE #error, lease_until, due_shard, due_at",
            )
            .expression_attribute_names("#result", "result")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":result", value(result)?)
            .expression_attribute_values(":zero", number(0));
        Ok(conditional(update).await?.is_ok())
    }

    /// Lets a claimed task rest until `not_before`, for another attempt. False if another has claimed it since.
    ///
    /// # Errors
    /// When the table did not answer; the change may have been written.
    pub async fn retry(
        &self,
        task: &Task,
        failure: &Failure,
        not_before: Timestamp,
        cut_off: bool,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        // An attempt that was cut off leaves its suspicion behind, so that the next one runs apart from other tasks.
        let suspicion = if cut_off { task.suspicion } else { 0 };
        let update = self
            .finish(task, Status::Pending, now)
            .update_expression(
                "SET #status = :status, #error = :error, suspicion = :suspicion, next_attempt_at = :at, \
                 updated_at = :now REMOVE lease_until",
            )
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":error", value(failure)?)
            .expression_attribute_values(":suspicion", number(suspicion))
            .expression_attribute_values(":at", millis(not_before));
        Ok(conditional(update).await?.is_ok())
    }

    /// Ends a claimed task with an error. False if another has claimed it since.
    ///
    /// # Errors
    /// When the table did not answer; the failure may have been written.
    pub async fn fail(&self, task: &Task, failure: &Failure, now: Timestamp) -> Result<bool, CloudError> {
        let update = self
            .finish(task, Status::Failed, now)
            .update_expression(
                "SET #status = :status, #error = :error, failed_tenant_shard = :partition, updated_at = :now \
                 REMOVE lease_until, due_shard, due_at",
            )
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":error", value(failure)?)
            .expression_attribute_values(":partition", partition(&task.tenant, task.id));
        Ok(conditional(update).await?.is_ok())
    }

    /// Makes the connection, so that the first real call does not wait for it. A table that refuses is left to the
    /// first real call to report.
    pub async fn warm(&self) {
        if let Err(error) = self.get(&Tenant::first(), TaskId::generate()).await {
            tracing::warn!(%error, "the task table is not warm");
        }
    }

    /// An end of the attempt that `task` was claimed for: it lands only while that claim is the newest.
    fn finish(&self, task: &Task, status: Status, now: Timestamp) -> UpdateItemFluentBuilder {
        self.update(&task.tenant, task.id)
            .condition_expression("fence = :fence AND #status = :processing")
            .expression_attribute_values(":fence", number(task.fence))
            .expression_attribute_values(":processing", string(Status::Processing.as_str()))
            .expression_attribute_values(":status", string(status.as_str()))
            .expression_attribute_values(":now", millis(now))
    }

    fn update(&self, tenant: &Tenant, id: TaskId) -> UpdateItemFluentBuilder {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(tenant, id)));
        update.expression_attribute_names("#status", "status")
    }
}

/// What the item that refused a claim says of it.
fn refused(task: &Task, message: &Message, now: Timestamp) -> Claim {
    if task.status.is_final() || task.generation != message.generation {
        return Claim::Over;
    }
    let not_before = match task.status {
        Status::Processing => task.lease_until.filter(|until| *until >= now),
        _ => task.next_attempt_at.filter(|until| *until > now + CLOCK_MARGIN),
    };
    match not_before {
        Some(until) => Claim::NotBefore(until),
        None => Claim::Suspect {
            suspicion: task.suspicion,
        },
    }
}

/// Sends a conditional update: the new item, or the one that did not meet the condition (none if there is none).
async fn conditional(update: UpdateItemFluentBuilder) -> Result<Result<Item, Option<Item>>, CloudError> {
    match update.send().await {
        Ok(updated) => Ok(Ok(updated.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => Ok(Err(refusal.item.clone())),
            _ => Err(CloudError::of("UpdateItem")(error)),
        },
    }
}

fn partition(tenant: &Tenant, id: TaskId) -> AttributeValue {
    string(format!("{tenant}#{:x}", id.shard()))
}

fn key(tenant: &Tenant, id: TaskId) -> Item {
    Item::from([
        ("tenant_shard".to_owned(), partition(tenant, id)),
        ("id".to_owned(), string(id.to_string())),
    ])
}

fn read(item: Item, call: &'static str) -> Result<Task, CloudError> {
    serde_dynamo::from_item(item).map_err(|error| CloudError::setup(call, error))
}

fn value(of: &impl Serialize) -> Result<AttributeValue, CloudError> {
    serde_dynamo::to_attribute_value(of).map_err(|error| CloudError::setup("UpdateItem", error))
}

fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(of: impl ToString) -> AttributeValue {
    AttributeValue::N(of.to_string())
}

fn millis(time: Timestamp) -> AttributeValue {
    number(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use mesh_task::{Payload, TaskType};

    use super::*;

    fn task(status: Status) -> Task {
        let payload = Payload::Inline(serde_json::json!({ "text": "fine" }));
        let id = TaskId::generate();
        let mut task = Task::new(
            id,
            Tenant::first(),
            TaskType::Sentiment,
            payload,
            [].into(),
            Timestamp::now(),
        );
        task.status = status;
        task
    }

    #[test]
    fn a_task_survives_the_table() {
        let written = task(Status::Pending);
        let item: Item = serde_dynamo::to_item(&written).unwrap();
        let back = read(item, "GetItem").unwrap();
        assert_eq!(back.id, written.id);
        assert_eq!(back.payload, written.payload);
        assert_eq!(
            back.created_at.as_millisecond(),
            written.created_at.as_millisecond()
        );
    }

    #[test]
    fn a_refused_claim_says_why() {
        let now = Timestamp::now();
        let minute = Duration::from_secs(60);
        let mut held = task(Status::Processing);
        held.lease_until = Some(now + minute);
        let ring = held.message();
        assert!(matches!(refused(&held, &ring, now), Claim::NotBefore(until) if until == now + minute));
        assert!(matches!(
            refused(&held, &ring, now + 2 * minute),
            Claim::Suspect { .. }
        ));

        let mut resting = task(Status::Pending);
        resting.next_attempt_at = Some(now + minute);
        let ring = resting.message();
        assert!(matches!(refused(&resting, &ring, now), Claim::NotBefore(_)));

        for status in [Status::Completed, Status::Failed] {
            let done = task(status);
            assert!(matches!(refused(&done, &done.message(), now), Claim::Over));
        }
        let mut redriven = task(Status::Pending);
        let old = redriven.message();
        redriven.generation += 1;
        assert!(
            matches!(refused(&redriven, &old, now), Claim::Over),
            "an older generation's message is dropped"
        );
    }
}

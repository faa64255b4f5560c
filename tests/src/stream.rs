//! Synthetic records of the task table's stream. A test invokes the reactor with them as Lambda does, for a tenant of its
//! own, whose tasks are not in the table.

use aws_sdk_lambda::primitives::Blob;
use jiff::Timestamp;
use mesh_aws::StatsTable;
use mesh_backend::CounterStore;
use mesh_stats::{Change, TenantCounters};
use mesh_task::{TaskId, Tenant};
use serde_json::{Value, json};

use crate::{BoxError, Cloud, setting};

/// A tenant that no other test uses.
#[must_use]
pub fn unique_tenant(test: &str) -> Tenant {
    let name = format!("{test}-{:x}", Timestamp::now().as_nanosecond());
    Tenant::try_from(name).expect("the name is a valid tenant")
}

/// The records of a task that is accepted, claimed and completed, with sequence numbers from `first` on.
#[must_use]
pub fn lifecycle(tenant: &Tenant, id: TaskId, first: u128) -> Vec<Value> {
    let states = ["pending", "processing", "completed"];
    let images = states.map(|status| image(tenant, id, status));
    let olds = [None, Some(&images[0]), Some(&images[1])];
    let writes = olds.into_iter().zip(&images).zip(first..);
    writes
        .map(|((old, new), number)| record(number, old, Some(new)))
        .collect()
}

/// The record of the removal of a completed task.
#[must_use]
pub fn removal(tenant: &Tenant, id: TaskId, number: u128) -> Value {
    record(number, Some(&image(tenant, id, "completed")), None)
}

fn record(number: u128, old: Option<&Value>, new: Option<&Value>) -> Value {
    let mut write = json!({
        "ApproximateCreationDateTime": Timestamp::now().as_second(),
        "SequenceNumber": number.to_string(),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    for (name, image) in [("OldImage", old), ("NewImage", new)] {
        if let Some(image) = image {
            write[name] = image.clone();
        }
    }
    json!({ "eventSource": "aws:dynamodb", "dynamodb": write })
}

fn image(tenant: &Tenant, id: TaskId, status: &str) -> Value {
    let claimed = if status == "pending" { "0" } else { "1" };
    let now = Timestamp::now().as_millisecond().to_string();
    json!({
        "tenant": { "S": tenant.as_str() }, "id": { "S": id.to_string() }, "type": { "S": "sentiment" },
        "status": { "S": status }, "generation": { "N": "1" }, "attempt": { "N": claimed },
        "fence": { "N": claimed }, "created_at": { "N": now }, "updated_at": { "N": now },
    })
}

impl Cloud {
    /// Invokes the reactor with a batch of records.
    pub fn deliver_records(&self, records: &[Value]) {
        let answer = self.invoke_reactor(&json!({ "Records": records }));
        let answer = answer.expect("the reactor accepts the batch");
        assert_eq!(answer, json!({ "records": records.len() }));
    }

    /// Invokes the reactor with several batches concurrently, as several stream shards do.
    pub fn deliver_concurrently(&self, batches: &[Vec<Value>]) {
        std::thread::scope(|scope| {
            for batch in batches {
                scope.spawn(|| Self::new().deliver_records(batch));
            }
        });
    }

    /// Has the reactor rebuild the counters from the table, and returns its report.
    ///
    /// # Errors
    /// When it could not be invoked, or failed.
    pub fn rebuild_stats(&self) -> Result<Value, BoxError> {
        self.invoke_reactor(&json!({ "rebuild": true }))
    }

    fn invoke_reactor(&self, event: &Value) -> Result<Value, BoxError> {
        let invoke = self.lambda().invoke().function_name(setting("REACTOR_FUNCTION"));
        let answer = self.block_on(invoke.payload(Blob::new(event.to_string())).send())?;
        let payload = answer.payload.unwrap_or_else(|| Blob::new([]));
        let text = String::from_utf8_lossy(payload.as_ref());
        match answer.function_error {
            None => Ok(serde_json::from_str(&text)?),
            Some(error) => Err(format!("{error}: {text}").into()),
        }
    }

    pub fn counters(&self, tenant: &Tenant) -> TenantCounters {
        self.block_on(self.stats().counters(tenant))
            .expect("the table of counters answers")
    }

    /// A tenant's changes after a number; `None` if the change log does not contain all of them any more.
    pub fn changes(&self, tenant: &Tenant, after: u64) -> Option<Vec<(u64, Change)>> {
        let (stats, counters) = (self.stats(), self.counters(tenant));
        let changes = self.block_on(stats.changes(tenant, &counters, after, 1_000));
        changes.expect("the table of counters answers")
    }

    /// Changes the item at a position of a tenant's partition directly in the table.
    pub fn edit_stats(
        &self,
        tenant: &Tenant,
        position: u64,
        update: &str,
        names: &[(&str, &str)],
        value: i64,
    ) {
        use aws_sdk_dynamodb::types::AttributeValue;
        let client = aws_sdk_dynamodb::Client::new(self.config());
        let names = names
            .iter()
            .map(|(name, of)| ((*name).to_owned(), (*of).to_owned()));
        let update = client
            .update_item()
            .table_name(setting("STATS_TABLE"))
            .key("tenant", AttributeValue::S(tenant.to_string()))
            .key("position", AttributeValue::N(position.to_string()))
            .condition_expression("attribute_exists(tenant)")
            .update_expression(update)
            .set_expression_attribute_names((names.len() > 0).then(|| names.collect()))
            .expression_attribute_values(":value", AttributeValue::N(value.to_string()));
        self.block_on(update.send()).expect("the item can be changed");
    }

    fn stats(&self) -> StatsTable {
        StatsTable::new(self.config(), setting("STATS_TABLE"))
    }
}

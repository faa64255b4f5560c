//! The task table's stream, made up: batches that the reactor is invoked with as Lambda would, for tenants of a test's own,
//! whose tasks are in no table.

use aws_sdk_lambda::primitives::Blob;
use jiff::Timestamp;
use mesh_aws::StatsTable;
use mesh_stats::{Change, TenantCounters};
use mesh_task::{TaskId, Tenant};
use serde_json::{Value, json};

use crate::{Cloud, Trouble, setting};

/// A tenant that no other test knows.
#[must_use]
pub fn stranger(test: &str) -> Tenant {
    let name = format!("{test}-{:x}", Timestamp::now().as_nanosecond());
    Tenant::try_from(name).expect("a tenant's name has few letters")
}

/// The writes that a task's life is made of: accepted, claimed and completed, each with a sequence number from `first` on.
#[must_use]
pub fn life(tenant: &Tenant, id: TaskId, first: u128) -> Vec<Value> {
    let states = ["pending", "processing", "completed"];
    let images = states.map(|status| image(tenant, id, status));
    let olds = [None, Some(&images[0]), Some(&images[1])];
    let writes = olds.into_iter().zip(&images).zip(first..);
    writes
        .map(|((old, new), number)| record(number, old, Some(new)))
        .collect()
}

/// The removal of a completed task.
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
    /// Hands the reactor a batch.
    pub fn react(&self, records: &[Value]) {
        let answer = self.invoke_reactor(&json!({ "Records": records }));
        let answer = answer.expect("the reactor takes the batch");
        assert_eq!(answer, json!({ "records": records.len() }));
    }

    /// The same for several batches at once, as several stream shards have them.
    pub fn react_at_once(&self, batches: &[Vec<Value>]) {
        std::thread::scope(|scope| {
            for batch in batches {
                scope.spawn(|| Self::new().react(batch));
            }
        });
    }

    /// Has the reactor count all tasks anew, and returns what it counted.
    ///
    /// # Errors
    /// When it could not be invoked, or failed.
    pub fn rebuild_stats(&self) -> Result<Value, Trouble> {
        self.invoke_reactor(&json!({ "rebuild": true }))
    }

    fn invoke_reactor(&self, event: &Value) -> Result<Value, Trouble> {
        let invoke = self.lambda().invoke().function_name(setting("REACTOR_FUNCTION"));
        let answer = self.wait(invoke.payload(Blob::new(event.to_string())).send())?;
        let payload = answer.payload.unwrap_or_else(|| Blob::new([]));
        let text = String::from_utf8_lossy(payload.as_ref());
        match answer.function_error {
            None => Ok(serde_json::from_str(&text)?),
            Some(error) => Err(format!("{error}: {text}").into()),
        }
    }

    /// What is kept of a tenant's tasks.
    pub fn book(&self, tenant: &Tenant) -> TenantCounters {
        self.wait(self.stats().counters(tenant))
            .expect("the table of counters answers")
    }

    /// A tenant's changes after a number; none if they are not kept any more.
    pub fn changes(&self, tenant: &Tenant, after: u64) -> Option<Vec<(u64, Change)>> {
        let (stats, book) = (self.stats(), self.book(tenant));
        let changes = self.wait(stats.changes(tenant, &book, after, 1_000));
        changes.expect("the table of counters answers")
    }

    /// Changes the item at a position of a tenant's partition behind everyone's back.
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
        self.wait(update.send()).expect("the item can be changed");
    }

    fn stats(&self) -> StatsTable {
        StatsTable::new(self.config(), setting("STATS_TABLE"))
    }
}

//! The event that Lambda makes of the task table's stream.

use jiff::Timestamp;
use mesh_stats::{Record, Sequence, Snapshot};
use mesh_telemetry::{EmfRecord, Metric, redact};
use serde::Deserialize;
use serde_dynamo::Item;

/// Records of one stream shard, in order.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Batch {
    pub(crate) records: Vec<Event>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    dynamodb: Write,
}

/// One write to the table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Write {
    sequence_number: String,
    /// Seconds since the epoch.
    approximate_creation_date_time: f64,
    old_image: Option<Item>,
    new_image: Option<Item>,
}

impl Batch {
    /// The writes that changed a task.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.records.iter().filter_map(Event::record)
    }
}

impl Event {
    /// The task before and after the write; `None` if the item is not a task, or can't be parsed.
    fn record(&self) -> Option<Record> {
        let write = &self.dynamodb;
        let sequence = match Sequence::try_from(write.sequence_number.clone()) {
            Ok(sequence) => sequence,
            Err(error) => {
                tracing::error!(event = "record_skipped", sequence = write.sequence_number, %error, "a record of the stream can't be parsed; it is not counted");
                EmfRecord::default().with(Metric::RecordsSkipped, 1).write();
                return None;
            }
        };
        let (old, new) = (
            self.task(write.old_image.as_ref()),
            self.task(write.new_image.as_ref()),
        );
        if old.is_none() && new.is_none() {
            return None;
        }
        // The stream's times have a precision of one second.
        let written_at = Timestamp::from_second(write.approximate_creation_date_time as i64);
        Some(Record {
            sequence,
            written_at: written_at.unwrap_or_default(),
            old,
            new,
        })
    }

    fn task(&self, image: Option<&Item>) -> Option<Snapshot> {
        // The same table contains the records of idempotency keys, which have no status.
        let image = image.filter(|image| image.contains_key("status"))?;
        match serde_dynamo::from_item(image.clone()) {
            Ok(task) => Some(task),
            // An error would make Lambda repeat the batch, and delay all later records.
            Err(error) => {
                let error = redact(&error);
                tracing::error!(
                    event = "record_skipped",
                    sequence = self.dynamodb.sequence_number,
                    error,
                    "an item of the stream can't be parsed as a task; it is not counted"
                );
                EmfRecord::default().with(Metric::RecordsSkipped, 1).write();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_task::Status;
    use serde_json::json;

    use super::*;

    fn image(status: &str) -> serde_json::Value {
        json!({
            "tenant_shard": { "S": "default#1" }, "id": { "S": "0198c1a2-7d3e-7000-8000-000000000001" },
            "tenant": { "S": "default" }, "type": { "S": "sentiment" }, "status": { "S": status },
            "payload": { "M": { "inline": { "M": { "text": { "S": "fine" } } } } },
            "generation": { "N": "1" }, "attempt": { "N": "0" }, "fence": { "N": "0" },
            "created_at": { "N": "1800000000000" }, "updated_at": { "N": "1800000000123" },
            "expires_at": { "N": "1800086400" }, "history": { "L": [] },
        })
    }

    fn batch(writes: &[serde_json::Value]) -> Batch {
        let records = writes
            .iter()
            .map(|write| json!({ "eventName": "MODIFY", "dynamodb": write }));
        serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).unwrap()
    }

    #[test]
    fn a_record_contains_the_task_before_and_after() {
        let batch = batch(&[json!({
            "ApproximateCreationDateTime": 1.8E9, "SequenceNumber": "000100", "OldImage": image("pending"),
            "NewImage": image("processing"), "StreamViewType": "NEW_AND_OLD_IMAGES",
        })]);
        let event = &batch.records[0];
        let record = event.record().unwrap();
        assert_eq!(record.sequence.to_string(), "100");
        assert_eq!(record.written_at.as_second(), 1_800_000_000);
        let statuses = [record.old, record.new].map(|task| task.unwrap().status);
        assert_eq!(statuses, [Status::Pending, Status::Processing]);
    }

    #[test]
    fn an_item_that_is_not_a_task_is_skipped() {
        let key = json!({ "tenant_shard": { "S": "default#key#1" }, "id": { "S": "ff" } });
        let mut odd = image("pending");
        odd["type"] = json!({ "S": "telepathy" });
        for image in [key, odd] {
            let batch = batch(&[json!({
                "ApproximateCreationDateTime": 1_800_000_000, "SequenceNumber": "1", "NewImage": image,
            })]);
            assert_eq!(batch.records[0].record(), None);
        }
    }
}

//! The event that Lambda makes of the task table's stream.
//!
//! Lambda fills a batch up to 6 MB, and each record contains a task twice. A task's input may be thousands of small values,
//! which take a hundred times as much memory as objects than as text. So only the attributes of a [`Snapshot`] are made
//! of the text; the others are skipped.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use mesh_stats::{Record, Sequence, Snapshot};
use mesh_telemetry::{EmfRecord, Metric, redact};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_dynamo::{AttributeValue, Item};

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
    old_image: Option<Image>,
    new_image: Option<Image>,
}

/// The attributes of an item that a [`Snapshot`] is made of.
#[derive(Debug)]
struct Image(Item);

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(image: D) -> Result<Self, D::Error> {
        struct Attributes;

        impl<'de> Visitor<'de> for Attributes {
            type Value = Image;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut item: A) -> Result<Image, A::Error> {
                let mut kept = HashMap::new();
                while let Some(name) = item.next_key::<String>()? {
                    if Snapshot::ATTRIBUTES.contains(&name.as_str()) {
                        kept.insert(name, item.next_value::<AttributeValue>()?);
                    } else {
                        item.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Image(Item::from(kept)))
            }
        }

        image.deserialize_map(Attributes)
    }
}

impl Batch {
    /// The writes that changed a task.
    pub(crate) fn into_records(self) -> impl Iterator<Item = Record> {
        self.records.into_iter().filter_map(Event::into_record)
    }
}

impl Event {
    /// The task before and after the write; `None` if the item is not a task, or can't be parsed.
    fn into_record(self) -> Option<Record> {
        let write = self.dynamodb;
        let sequence = match Sequence::try_from(write.sequence_number.clone()) {
            Ok(sequence) => sequence,
            Err(error) => {
                tracing::error!(event = "record_skipped", sequence = write.sequence_number, %error, "a record of the stream can't be parsed; it is not counted");
                EmfRecord::default().with(Metric::RecordsSkipped, 1).write();
                return None;
            }
        };
        let task = |image: Option<Image>| image.and_then(|image| image.into_task(&write.sequence_number));
        let (old, new) = (task(write.old_image), task(write.new_image));
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
}

impl Image {
    fn into_task(self, sequence: &str) -> Option<Snapshot> {
        // The same table contains the records of idempotency keys, which have no status.
        if !self.0.contains_key("status") {
            return None;
        }
        match serde_dynamo::from_item(self.0) {
            Ok(task) => Some(task),
            // An error would make Lambda repeat the batch, and delay all later records.
            Err(error) => {
                let error = redact(&error);
                tracing::error!(
                    event = "record_skipped",
                    sequence,
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

    fn event(write: serde_json::Value) -> Event {
        serde_json::from_value(json!({ "eventName": "MODIFY", "dynamodb": write })).unwrap()
    }

    #[test]
    fn a_record_contains_the_task_before_and_after() {
        let event = event(json!({
            "ApproximateCreationDateTime": 1.8E9, "SequenceNumber": "000100", "OldImage": image("pending"),
            "NewImage": image("processing"), "StreamViewType": "NEW_AND_OLD_IMAGES",
        }));
        let record = event.into_record().unwrap();
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
            let event = event(json!({
                "ApproximateCreationDateTime": 1_800_000_000, "SequenceNumber": "1", "NewImage": image,
            }));
            assert_eq!(event.into_record(), None);
        }
    }

    #[test]
    fn an_image_has_nothing_but_what_a_snapshot_needs() {
        let Image(kept) = serde_json::from_value(image("pending")).unwrap();
        assert!(
            kept.keys()
                .all(|name| Snapshot::ATTRIBUTES.contains(&name.as_str())),
            "{kept:?}"
        );
        assert_eq!(kept.len(), 10);
    }
}

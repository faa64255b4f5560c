//! What the function is invoked with.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::stream::Batch;

/// The event of an invocation.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// A batch of the task table's stream.
    Stream(Batch),
    /// `{"rebuild": true}`.
    Rebuild,
    /// Neither.
    Unknown(serde_json::Error),
}

impl<'de> Deserialize<'de> for Invocation {
    /// Fails only where the event is not JSON. The event is not made a [`serde_json::Value`] first: see [`crate::stream`].
    fn deserialize<D: Deserializer<'de>>(event: D) -> Result<Self, D::Error> {
        let event = <&RawValue>::deserialize(event)?.get();
        let switches = serde_json::from_str(event).unwrap_or_default();
        if BTreeMap::from([("rebuild".to_owned(), true)]) == switches {
            return Ok(Self::Rebuild);
        }
        Ok(serde_json::from_str(event).map_or_else(Self::Unknown, Self::Stream))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    /// Lambda's limit for an event, in bytes.
    const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;
    /// What the records of a batch may take besides its text, in MiB.
    const MAX_GROWTH: u64 = 24;

    fn parse(event: &str) -> Invocation {
        serde_json::from_str(event).unwrap()
    }

    /// The peak of the process's memory, in MiB.
    fn peak() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .unwrap()
            / 1024
    }

    fn record(input: &Value) -> Value {
        let image = json!({
            "tenant_shard": { "S": "default#1" }, "id": { "S": "0198c1a2-7d3e-7000-8000-000000000001" },
            "tenant": { "S": "default" }, "type": { "S": "data_extraction" }, "status": { "S": "completed" },
            "payload": { "M": { "inline": input } },
            "generation": { "N": "1" }, "attempt": { "N": "0" }, "fence": { "N": "0" },
            "created_at": { "N": "1800000000000" }, "updated_at": { "N": "1800000000123" },
        });
        json!({ "dynamodb": {
            "ApproximateCreationDateTime": 1.8E9, "SequenceNumber": "100", "OldImage": image, "NewImage": image,
        } })
    }

    /// The largest event whose tasks have this input: 5,300 of its values are what a schema has room for.
    fn event_of(value: &Value) -> (String, usize) {
        let record = record(&json!({ "L": vec![value; 5_300] })).to_string();
        let records = MAX_EVENT_BYTES / record.len();
        let event = format!(r#"{{"Records":[{}]}}"#, vec![record; records].join(","));
        (event, records)
    }

    #[test]
    fn a_batch_of_tasks_with_thousands_of_values_takes_little_memory() {
        for value in [
            json!({ "M": {} }),
            json!({ "L": [] }),
            json!({ "M": { "a": { "M": {} } } }),
        ] {
            let (event, records) = event_of(&value);
            // Resets the peak to the current value: proc(5).
            fs::write("/proc/self/clear_refs", "5").unwrap();
            let before = peak();
            let Invocation::Stream(batch) = parse(&event) else {
                panic!("a batch is parsed");
            };
            let counted: Vec<_> = batch.into_records().collect();
            let growth = peak() - before;
            assert_eq!(counted.len(), records);
            assert!(growth <= MAX_GROWTH, "{value}: {growth} MiB");
        }
    }

    #[test]
    fn a_batch_and_a_rebuild_are_known_and_nothing_else() {
        assert!(matches!(parse(r#"{"rebuild": true}"#), Invocation::Rebuild));
        let batch = json!({ "Records": [record(&json!({ "M": {} }))] });
        assert!(matches!(parse(&batch.to_string()), Invocation::Stream(batch) if batch.records.len() == 1));
        for unknown in [
            "null",
            "{}",
            r#"{"rebuild": false}"#,
            r#"{"rebuild": true, "now": true}"#,
            r#"{"rebuild": 1}"#,
            r#"{"Records": 1}"#,
            r#"{"Records": [{}]}"#,
        ] {
            assert!(matches!(parse(unknown), Invocation::Unknown(_)), "{unknown}");
        }
    }
}

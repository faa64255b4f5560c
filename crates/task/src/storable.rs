//! What JSON a task's item can hold. DynamoDB refuses an item for one number or one level too many, and a batch for one such
//! item; so what clients and language models say freely is checked before.

use serde_json::Value;

/// How deep it may be nested. Under an attribute DynamoDB takes 31 lists and maps in one another, and up to three of them are
/// ours: a schema lies in `payload.object.parameters`.
const MAX_DEPTH: usize = 28;
/// The least positive number of DynamoDB.
const LEAST: f64 = 1e-130;
/// Its numbers are below this.
const BOUND: f64 = 1e126;

/// Why an item can't hold it, and what to send instead.
pub(crate) fn fault(value: &Value) -> Option<String> {
    fault_within(value, MAX_DEPTH)
}

fn fault_within(value: &Value, depth: usize) -> Option<String> {
    let too_deep = || Some(format!("is nested too deep: send at most {MAX_DEPTH} levels"));
    match value {
        Value::Object(_) | Value::Array(_) if depth == 0 => too_deep(),
        Value::Object(members) if members.contains_key("") => {
            Some("has a field without a name: name it".to_owned())
        }
        Value::Object(members) => members.values().find_map(|value| fault_within(value, depth - 1)),
        Value::Array(items) => items.iter().find_map(|value| fault_within(value, depth - 1)),
        Value::Number(number) => {
            // No integer of JSON's is out of bounds: 64 bits are 20 digits, and DynamoDB takes 38.
            let size = number.as_f64().unwrap_or_default().abs();
            let fits = size == 0.0 || (LEAST..BOUND).contains(&size);
            (!fits).then(|| {
                format!("holds {number}: send 0, or numbers of a size from {LEAST:e} to below {BOUND:e}")
            })
        }
        Value::String(_) | Value::Bool(_) | Value::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> Value {
        let around = |inner, level| {
            if level % 2 == 0 {
                json!([inner])
            } else {
                json!({ "a": inner })
            }
        };
        (1..levels).fold(json!({}), around)
    }

    #[test]
    fn numbers_are_those_that_dynamodb_has() {
        for number in [
            json!(0),
            json!(-0.0),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(1e-130),
            json!(-1e-130),
            json!(0.1 + 0.2),
            json!(9.999e125),
            json!(-9.999e125),
        ] {
            assert_eq!(fault(&json!({ "a": [number] })), None, "{number}");
        }
        for number in [
            json!(1e-200),
            json!(-9.9e-131),
            json!(5e-324),
            json!(1e126),
            json!(f64::MIN),
        ] {
            let told = fault(&json!({ "a": [number] })).unwrap_or_default();
            assert!(
                told.contains(&number.to_string()) && told.contains("from 1e-130 to below 1e126"),
                "{told}"
            );
        }
    }

    #[test]
    fn depth_is_what_is_left_of_an_attribute_s() {
        assert_eq!(fault(&nested(MAX_DEPTH)), None);
        let told = fault(&nested(MAX_DEPTH + 1)).unwrap_or_default();
        assert!(told.contains("at most 28 levels"), "{told}");
    }

    #[test]
    fn every_field_has_a_name() {
        let told = fault(&json!([{ "a": { "": 1 } }])).unwrap_or_default();
        assert!(told.contains("name it"), "{told}");
        assert_eq!(fault(&json!({ "a": ["", null, true] })), None);
    }
}

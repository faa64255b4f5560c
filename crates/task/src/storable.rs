//! Which JSON a task's item can contain.
//!
//! DynamoDB refuses an item because of one number or one level of nesting, and refuses a whole batch because of one such item.
//! So JSON that clients and language models write is checked before it is stored.

use serde_json::Value;

/// The deepest nesting. DynamoDB accepts 31 nested lists and maps below an attribute, and up to three of them are not the
/// client's: a schema is stored in `payload.object.parameters`.
const MAX_DEPTH: usize = 28;
/// The smallest positive number of DynamoDB.
const MIN: f64 = 1e-130;
/// The smallest number that is too large for DynamoDB.
const BOUND: f64 = 1e126;

/// Why an item can't contain the value, and what to send instead; `None` if it can.
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
            // Integers always fit: 64 bits are 20 digits, and DynamoDB accepts 38.
            let size = number.as_f64().unwrap_or_default().abs();
            let fits = size == 0.0 || (MIN..BOUND).contains(&size);
            (!fits).then(|| {
                format!(
                    "contains {number}, which is out of range: send 0 or a number with a magnitude from {MIN:e} to below {BOUND:e}"
                )
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
    fn numbers_outside_the_range_of_dynamodb_are_refused() {
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
            let message = fault(&json!({ "a": [number] })).unwrap_or_default();
            assert!(
                message.contains(&number.to_string()) && message.contains("from 1e-130 to below 1e126"),
                "{message}"
            );
        }
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused() {
        assert_eq!(fault(&nested(MAX_DEPTH)), None);
        let message = fault(&nested(MAX_DEPTH + 1)).unwrap_or_default();
        assert!(message.contains("at most 28 levels"), "{message}");
    }

    #[test]
    fn a_field_with_an_empty_name_is_refused() {
        let message = fault(&json!([{ "a": { "": 1 } }])).unwrap_or_default();
        assert!(message.contains("name it"), "{message}");
        assert_eq!(fault(&json!({ "a": ["", null, true] })), None);
    }
}

//! Conversion between the SDK's `Document` and JSON.

use aws_smithy_types::{Document, Number};
use serde_json::Value;

pub(super) fn from_json(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(it) => Document::Bool(*it),
        Value::Number(it) => Document::Number(match (it.as_u64(), it.as_i64()) {
            (Some(it), _) => Number::PosInt(it),
            (None, Some(it)) => Number::NegInt(it),
            (None, None) => Number::Float(it.as_f64().unwrap_or_default()),
        }),
        Value::String(it) => Document::String(it.clone()),
        Value::Array(items) => Document::Array(items.iter().map(from_json).collect()),
        Value::Object(members) => {
            let members = members.iter();
            Document::Object(
                members
                    .map(|(name, value)| (name.clone(), from_json(value)))
                    .collect(),
            )
        }
    }
}

pub(super) fn to_json(document: &Document) -> Value {
    match document {
        Document::Null => Value::Null,
        Document::Bool(it) => Value::Bool(*it),
        Document::Number(Number::PosInt(it)) => Value::from(*it),
        Document::Number(Number::NegInt(it)) => Value::from(*it),
        Document::Number(Number::Float(it)) => Value::from(*it),
        Document::String(it) => Value::String(it.clone()),
        Document::Array(items) => Value::Array(items.iter().map(to_json).collect()),
        Document::Object(members) => {
            let members = members.iter();
            Value::Object(
                members
                    .map(|(name, value)| (name.clone(), to_json(value)))
                    .collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_round_trip() {
        let value = json!({ "a": [null, true, 7, -7, 2.5, "x", u64::MAX], "b": { "c": {} } });
        assert_eq!(to_json(&from_json(&value)), value);
    }
}

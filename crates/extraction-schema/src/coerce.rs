//! Coerces values to the types of a schema where the intended value is unambiguous. Language models write numbers as text,
//! and `"null"` or `"N/A"` for what they did not find.

use serde_json::{Map, Number, Value, json};

/// Coerces the value as far as possible without guessing. A value that can't be coerced stays unchanged, so that validation
/// reports it.
pub(crate) fn coerce(value: Value, schema: &Value) -> Value {
    let Value::Object(schema) = schema else {
        return value;
    };
    let value = enum_value(value, schema);
    let types = types(schema);
    let value = if types.is_empty() || has_type(&value, &types) {
        value
    } else {
        convert(value, &types)
    };
    let value = match value {
        Value::Object(members) => Value::Object(object(members, schema)),
        Value::Array(items) => Value::Array(array(items, schema)),
        value => value,
    };
    combinators(value, schema)
}

/// The names of the types that the schema allows; empty if it allows any.
fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn has_type(value: &Value, types: &[&str]) -> bool {
    types.iter().any(|name| match (*name, value) {
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("string", Value::String(_))
        | ("number", Value::Number(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_)) => true,
        // JSON Schema counts 42.0 as an integer too; `integer` rewrites it as 42.
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        _ => false,
    })
}

/// Converts the value to the first of the types that it can be read as.
fn convert(value: Value, types: &[&str]) -> Value {
    let converted = types.iter().find_map(|name| match *name {
        "integer" => integer(&value),
        "number" => number(&value),
        "boolean" => boolean(&value),
        "string" => string(&value),
        "null" => is_placeholder(&value).then_some(Value::Null),
        "array" => list(&value),
        "object" => embedded_json(&value).filter(Value::is_object),
        _ => None,
    });
    converted.unwrap_or(value)
}

fn integer(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => {
            let text = text.trim();
            let exact = text.parse::<i64>().map(Value::from);
            exact.ok().or_else(|| whole(text.parse().ok()?))
        }
        Value::Number(number) => whole(number.as_f64()?),
        _ => None,
    }
}

/// 42.0 as 42, within the range in which `f64` represents every integer.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an integer with a magnitude below 2^53"
)]
fn whole(number: f64) -> Option<Value> {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() < MAX_EXACT).then(|| Value::from(number as i64))
}

fn number(value: &Value) -> Option<Value> {
    let text = value.as_str()?.trim();
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    // Rust also parses "inf" and "nan", which JSON does not have: `from_f64` rejects them.
    text.parse().ok().and_then(Number::from_f64).map(Value::Number)
}

fn boolean(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" => Some(true.into()),
            "false" | "no" => Some(false.into()),
            _ => None,
        },
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false.into()),
            Some(1) => Some(true.into()),
            _ => None,
        },
        _ => None,
    }
}

fn string(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(value.to_string().into()),
        _ => None,
    }
}

/// Whether the value is one that models write for a thing that they did not find.
fn is_placeholder(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        let text = text.trim().to_ascii_lowercase();
        matches!(text.as_str(), "" | "null" | "none" | "n/a" | "unknown")
    })
}

fn list(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        value => embedded_json(value)
            .filter(Value::is_array)
            .or_else(|| (!is_placeholder(value)).then(|| json!([value]))),
    }
}

/// The JSON value that a string contains.
fn embedded_json(value: &Value) -> Option<Value> {
    serde_json::from_str(value.as_str()?).ok()
}

/// Matches a string to the values of `enum` or `const`, ignoring case and surrounding white space. The string "null" becomes
/// null where the schema allows null.
fn enum_value(value: Value, schema: &Map<String, Value>) -> Value {
    let Value::String(text) = &value else {
        return value;
    };
    let trimmed = text.trim();
    if trimmed == "null" && types(schema).contains(&"null") {
        return Value::Null;
    }
    let choices = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let mut choices = choices.chain(schema.get("const"));
    let ignores_case = |choice: &&Value| {
        choice
            .as_str()
            .is_some_and(|choice| choice.to_lowercase() == trimmed.to_lowercase())
    };
    if choices.clone().any(|choice| choice == &value) {
        return value;
    }
    choices.find(ignores_case).cloned().unwrap_or(value)
}

fn object(mut members: Map<String, Value>, schema: &Map<String, Value>) -> Map<String, Value> {
    let empty = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let additional = schema.get("additionalProperties");
    if additional == Some(&Value::Bool(false)) && !schema.contains_key("patternProperties") {
        members.retain(|name, _| properties.contains_key(name));
    }
    let required: Vec<_> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let allows_null = |name: &str| {
        let member = properties.get(name).and_then(Value::as_object);
        member.is_some_and(|member| types(member).contains(&"null"))
    };
    for name in &required {
        if !members.contains_key(*name) && allows_null(name) {
            members.insert((*name).to_owned(), Value::Null);
        }
    }
    let members = members.into_iter().filter_map(|(name, value)| {
        let Some(member) = properties.get(&name).or(additional) else {
            return Some((name, value));
        };
        let is_omitted = value.is_null()
            && !required.contains(&name.as_str())
            && member.get("type").is_some()
            && !allows_null(&name);
        (!is_omitted).then(|| (name, coerce(value, member)))
    });
    members.collect()
}

fn array(items: Vec<Value>, schema: &Map<String, Value>) -> Vec<Value> {
    match schema.get("items") {
        Some(item @ Value::Object(_)) => items.into_iter().map(|value| coerce(value, item)).collect(),
        _ => items,
    }
}

/// Applies every schema of `allOf`, and the first schema of `anyOf` or `oneOf` whose type the value has or can be coerced to.
fn combinators(value: Value, schema: &Map<String, Value>) -> Value {
    let list = |keyword: &str| {
        schema
            .get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let value = list("allOf").fold(value, coerce);
    let alternatives: Vec<_> = list("anyOf").chain(list("oneOf")).collect();
    let accepts = |value: &Value, branch: &Value| {
        let types = branch.as_object().map(types).unwrap_or_default();
        !types.is_empty() && has_type(value, &types)
    };
    if let Some(branch) = alternatives.iter().find(|branch| accepts(&value, branch)) {
        return coerce(value, branch);
    }
    let coerced = alternatives.iter().find_map(|branch| {
        let coerced = coerce(value.clone(), branch);
        accepts(&coerced, branch).then_some(coerced)
    });
    coerced.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value: &Value, schema: &Value) -> Value {
        let schema = json!({ "type": "object", "properties": { "a": schema } });
        coerce(json!({ "a": value }), &schema)["a"].take()
    }

    #[test]
    fn values_are_coerced_to_the_types_of_the_schema() {
        let null_or = |name: &str| json!({ "type": [name, "null"] });
        let is = |name: &str| json!({ "type": name });
        let table = [
            (json!("42"), is("integer"), json!(42)),
            (json!(" 42 "), is("integer"), json!(42)),
            (json!("-7.0"), is("integer"), json!(-7)),
            (json!(42.0), is("integer"), json!(42)),
            (
                json!("9007199254740993"),
                is("integer"),
                json!(9_007_199_254_740_993_i64),
            ),
            (json!("42"), is("number"), json!(42)),
            (json!("2.5"), is("number"), json!(2.5)),
            (json!("1e3"), is("number"), json!(1000.0)),
            (json!("true"), is("boolean"), json!(true)),
            (json!("No"), is("boolean"), json!(false)),
            (json!(1), is("boolean"), json!(true)),
            (json!(42), is("string"), json!("42")),
            (json!(2.5), is("string"), json!("2.5")),
            (json!(true), is("string"), json!("true")),
            (json!("N/A"), null_or("integer"), Value::Null),
            (json!(""), null_or("number"), Value::Null),
            (json!("null"), null_or("string"), Value::Null),
            (json!("12"), null_or("integer"), json!(12)),
            (json!("red"), is("array"), json!(["red"])),
            (json!("[1, 2]"), is("array"), json!([1, 2])),
            (
                json!(["1", "2"]),
                json!({ "type": "array", "items": { "type": "integer" } }),
                json!([1, 2]),
            ),
            (
                json!("3"),
                json!({ "type": "array", "items": { "type": "integer" } }),
                json!([3]),
            ),
            (json!("{\"b\": 1}"), is("object"), json!({ "b": 1 })),
            (
                json!(" SPORT "),
                json!({ "enum": ["sport", "news"] }),
                json!("sport"),
            ),
            (json!("V1"), json!({ "const": "v1" }), json!("v1")),
            (
                json!("42"),
                json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] }),
                json!(42),
            ),
            (
                json!("4 2"),
                json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
                json!("4 2"),
            ),
            (
                json!("42"),
                json!({ "allOf": [{ "type": "integer" }] }),
                json!(42),
            ),
        ];
        for (value, schema, expected) in table {
            assert_eq!(field(&value, &schema), expected, "{value} by {schema}");
        }
    }

    #[test]
    fn ambiguous_values_stay_unchanged() {
        let is = |name: &str| json!({ "type": name });
        let table = [
            (json!("forty-two"), is("integer")),
            (json!("42.5"), is("integer")),
            (json!(42.5), is("integer")),
            (json!("1,234"), is("number")),
            (json!("inf"), is("number")),
            (json!("maybe"), is("boolean")),
            (json!(2), is("boolean")),
            (json!({ "b": 1 }), is("string")),
            (json!(["a"]), is("string")),
            (json!("unknown"), json!({ "type": ["string", "null"] })),
            (json!("Sport"), json!({ "enum": ["sport", "Sport"] })),
            (json!("a"), json!({ "enum": ["sports"] })),
            (
                json!("42"),
                json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
            ),
            (json!("42"), json!(true)),
        ];
        for (value, schema) in table {
            assert_eq!(field(&value, &schema), value, "{value} by {schema}");
        }
    }

    #[test]
    fn missing_values_become_null_or_are_omitted_by_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "must": { "type": ["string", "null"] },
                "may": { "type": "string" },
                "plain": { "type": "string" },
            },
            "required": ["must", "plain"],
            "additionalProperties": false,
        });
        assert_eq!(
            coerce(json!({ "may": null, "extra": 1 }), &schema),
            json!({ "must": null })
        );
    }
}

//! The schemas of answers: a JSON Schema, or a flat list of fields with their types.
//!
//! A schema comes from a stranger, so it is made harmless before anything runs by it: nothing is ever fetched,
//! references are put in (a schema can't run in circles or unfold without end), and patterns take linear time.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};

use crate::coerce::coerce;

/// How deep schemas may lie in schemas, references put in.
pub const MAX_SCHEMA_DEPTH: usize = 16;
/// How many schemas one may hold, references put in.
const MAX_SCHEMA_NODES: usize = 1_000;
/// How large a compiled pattern may be, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// How many of an answer's faults are told.
const TOLD_FAULTS: usize = 5;

/// Keywords that hold a schema, or a list of schemas.
const NESTED: [&str; 16] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords that hold schemas by name.
const NAMED: [&str; 4] = [
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords that have done their part when the references are put in.
const SPENT: [&str; 5] = ["$anchor", "$defs", "$id", "definitions", "id"];

/// A schema that answers are made to fit.
#[derive(Debug)]
pub struct Schema {
    json: Value,
    validator: Validator,
}

/// Why a schema is refused. The sentence says what to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

impl Schema {
    /// Reads a JSON Schema whose root is an object, or the flat form: `{"name": "string", "age": "integer"}`. In the flat
    /// form a field that the text says nothing of is null.
    ///
    /// # Errors
    /// [`InvalidSchema`] when it is neither, too deep, circular, too large when its references are put in, or refers to
    /// another document.
    pub fn parse(schema: Value) -> Result<Self, InvalidSchema> {
        let Value::Object(members) = &schema else {
            return refuse(
                r#"is no JSON object: send a JSON Schema of an object, or fields with their types like {"name": "string"}"#,
            );
        };
        let json = match flat(members) {
            Some(json) => json,
            None => root(members)?,
        };
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
            .build(&json)
            .map_err(|error| InvalidSchema(format!("is no valid JSON Schema: {error}")))?;
        Ok(Self { json, validator })
    }

    /// It as JSON Schema, without references.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.json
    }

    /// The answer, its types mended where the schema leaves no doubt of what was meant; else what is wrong with it, without
    /// a word of its values.
    pub(crate) fn fit(&self, answer: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let answer = coerce(Value::Object(answer), &self.json);
        let faults: Vec<_> = self
            .validator
            .iter_errors(&answer)
            .take(TOLD_FAULTS)
            .map(|fault| match fault.instance_path().as_str() {
                "" => fault.masked().to_string(),
                path => format!("at {path}: {}", fault.masked()),
            })
            .collect();
        match answer {
            Value::Object(answer) if faults.is_empty() => Ok(answer),
            _ => Err(faults.join("; ")),
        }
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, InvalidSchema> {
    Err(InvalidSchema(why.into()))
}

/// The JSON Schema of the flat form, if it is one: every member names a type.
fn flat(members: &Map<String, Value>) -> Option<Value> {
    let object_of_anything = members.len() == 1 && members.get("type").is_some_and(|named| named == "object");
    if members.is_empty() || object_of_anything {
        return None;
    }
    let field = |(name, named): (&String, &Value)| Some((name.clone(), flat_type(named.as_str()?)?));
    let properties: Map<_, _> = members.iter().map(field).collect::<Option<_>>()?;
    let required: Vec<_> = members.keys().collect();
    Some(json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    }))
}

fn flat_type(name: &str) -> Option<Value> {
    if let Some(item) = name.strip_suffix("[]") {
        let mut item = flat_type(item)?;
        // Within a list, what is missing is left out.
        item["type"] = item["type"][0].take();
        return Some(json!({ "type": ["array", "null"], "items": item }));
    }
    let name = match name.to_ascii_lowercase().as_str() {
        "string" | "str" | "text" | "date" => "string",
        "integer" | "int" => "integer",
        "number" | "float" => "number",
        "boolean" | "bool" => "boolean",
        "array" | "list" => "array",
        "object" => "object",
        _ => return None,
    };
    Some(json!({ "type": [name, "null"] }))
}

fn root(members: &Map<String, Value>) -> Result<Value, InvalidSchema> {
    let mut unfolding = Unfolding {
        root: members,
        nodes: 0,
        path: Vec::new(),
    };
    let mut json = unfolding.members(members, 0)?;
    let is_object = match json.get("type") {
        None => json.contains_key("properties"),
        Some(named) => named == "object",
    };
    if !is_object {
        return refuse(
            r#"must describe an object: send {"type": "object", "properties": {...}}, or fields with their types like {"name": "string"}"#,
        );
    }
    json.insert("type".to_owned(), "object".into());
    Ok(Value::Object(json))
}

/// Puts a schema's references in.
struct Unfolding<'a> {
    root: &'a Map<String, Value>,
    nodes: usize,
    /// The references that lead to where it is.
    path: Vec<&'a str>,
}

impl<'a> Unfolding<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<Value, InvalidSchema> {
        match schema {
            Value::Object(members) => self.members(members, depth).map(Value::Object),
            Value::Array(list) => {
                let list = list.iter().map(|one| self.schema(one, depth));
                list.collect::<Result<_, _>>().map(Value::Array)
            }
            other => Ok(other.clone()),
        }
    }

    fn members(
        &mut self,
        members: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, InvalidSchema> {
        self.nodes += 1;
        if depth > MAX_SCHEMA_DEPTH {
            return refuse(format!("is too deep: send at most {MAX_SCHEMA_DEPTH} levels"));
        }
        if self.nodes > MAX_SCHEMA_NODES {
            return refuse(format!(
                "is too large when its references are put in: send at most {MAX_SCHEMA_NODES} schemas"
            ));
        }
        let mut unfolded = Map::new();
        for (keyword, value) in members {
            let value = match keyword.as_str() {
                "$ref" => continue,
                "$dynamicRef" | "$recursiveRef" => {
                    return refuse(format!("uses {keyword}, which is not taken: use $ref"));
                }
                spent if SPENT.contains(&spent) => continue,
                nested if NESTED.contains(&nested) => self.schema(value, depth + 1)?,
                named if NAMED.contains(&named) => match value {
                    Value::Object(schemas) => {
                        let schemas = schemas
                            .iter()
                            .map(|(name, schema)| Ok((name.clone(), self.schema(schema, depth + 1)?)));
                        Value::Object(schemas.collect::<Result<_, _>>()?)
                    }
                    other => other.clone(),
                },
                _ => value.clone(),
            };
            unfolded.insert(keyword.clone(), value);
        }
        match members.get("$ref") {
            Some(reference) => self.put_in(reference, unfolded, depth),
            None => Ok(unfolded),
        }
    }

    /// What a reference names, with what stands beside it.
    fn put_in(
        &mut self,
        reference: &'a Value,
        beside: Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, InvalidSchema> {
        let pointer = reference
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'));
        let Some(pointer) = pointer.filter(|pointer| pointer.starts_with('/') || pointer.is_empty()) else {
            let told = r##"put it into $defs and refer to it like "#/$defs/place""##;
            return refuse(format!("refers to {reference}, and nothing is fetched: {told}"));
        };
        if pointer.is_empty() || self.path.contains(&pointer) {
            return refuse(format!(
                "refers to itself by {reference}: send one of a fixed depth"
            ));
        }
        let Some(Value::Object(target)) = self.find(pointer) else {
            return refuse(format!("refers to {reference}, which is not there"));
        };
        self.path.push(pointer);
        let target = self.members(target, depth + 1)?;
        self.path.pop();
        if beside.keys().any(|keyword| target.contains_key(keyword)) {
            let mut both = beside;
            let all = both.entry("allOf").or_insert_with(|| json!([]));
            if let Value::Array(all) = all {
                all.push(Value::Object(target));
            }
            return Ok(both);
        }
        Ok(target.into_iter().chain(beside).collect())
    }

    /// Follows a JSON Pointer (RFC 6901).
    fn find(&self, pointer: &str) -> Option<&'a Value> {
        let mut steps = pointer
            .split('/')
            .skip(1)
            .map(|step| step.replace("~1", "/").replace("~0", "~"));
        let mut value = self.root.get(&steps.next()?)?;
        for step in steps {
            value = match value {
                Value::Object(members) => members.get(&step)?,
                Value::Array(list) => list.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests;

//! The schemas of `data_extraction` tasks: a JSON Schema, or a flat list of fields with their types.
//!
//! A schema is untrusted input, so [`Schema::parse`] makes it harmless before it is used. Nothing is ever fetched.
//! References are inlined, so a schema can neither recurse nor expand without limit. Patterns match in linear time.

mod coerce;
#[cfg(test)]
mod tests;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};

use crate::coerce::coerce;

/// The maximum nesting depth of schemas within schemas, counted after references are inlined.
const MAX_SCHEMA_DEPTH: usize = 16;
/// The maximum number of subschemas, counted after references are inlined.
const MAX_SUBSCHEMAS: usize = 1_000;
/// The maximum size of a compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// The maximum number of validation errors that a [`Mismatch`] lists.
const MAX_REPORTED_ERRORS: usize = 5;

/// Keywords whose value is a schema or a list of schemas.
const SUBSCHEMA_KEYWORDS: [&str; 16] = [
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
/// Keywords whose value maps names to schemas.
const SUBSCHEMA_MAP_KEYWORDS: [&str; 4] = [
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords that serve references only, and so are dropped once references are inlined.
const REFERENCE_KEYWORDS: [&str; 5] = ["$anchor", "$defs", "$id", "definitions", "id"];

/// A validated schema for the result of an extraction.
#[derive(Debug)]
pub struct Schema {
    json: Value,
    validator: Validator,
}

/// Why a schema is refused. The message continues a sentence that begins with the schema's field name, and says what to
/// send instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

/// Why an object does not match a schema. The message names places and keywords, never the object's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(String);

impl Schema {
    /// Parses a JSON Schema whose root is an object, or the flat form: `{"name": "string", "age": "integer"}`. Every field
    /// of the flat form is required and nullable: a field that the text does not mention is null.
    ///
    /// # Errors
    /// [`InvalidSchema`] when it is neither form, too deep, recursive, too large once its references are inlined, or
    /// refers to another document.
    pub fn parse(schema: Value) -> Result<Self, InvalidSchema> {
        let Value::Object(members) = &schema else {
            return refuse(
                r#"is not a JSON object: send a JSON Schema of an object, or fields with their types like {"name": "string"}"#,
            );
        };
        let json = match expand_flat_form(members) {
            Some(json) => json,
            None => inline_references(members)?,
        };
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
            .build(&json)
            .map_err(|error| InvalidSchema(format!("is not a valid JSON Schema: {error}")))?;
        Ok(Self { json, validator })
    }

    /// The schema as JSON Schema, without references.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.json
    }

    /// Coerces the object's values to the schema's types where the intended value is unambiguous, then validates it.
    ///
    /// # Errors
    /// [`Mismatch`] when the coerced object is not valid.
    pub fn conform(&self, object: Map<String, Value>) -> Result<Map<String, Value>, Mismatch> {
        let object = coerce(Value::Object(object), &self.json);
        let errors: Vec<_> = self
            .validator
            .iter_errors(&object)
            .take(MAX_REPORTED_ERRORS)
            .map(|error| match error.instance_path().as_str() {
                "" => error.masked().to_string(),
                path => format!("at {path}: {}", error.masked()),
            })
            .collect();
        match object {
            Value::Object(object) if errors.is_empty() => Ok(object),
            _ => Err(Mismatch(errors.join("; "))),
        }
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, InvalidSchema> {
    Err(InvalidSchema(reason.into()))
}

/// The JSON Schema of the flat form. `None` unless every member names a type.
fn expand_flat_form(members: &Map<String, Value>) -> Option<Value> {
    let is_any_object = members.len() == 1 && members.get("type").is_some_and(|name| name == "object");
    if members.is_empty() || is_any_object {
        return None;
    }
    let field = |(name, type_name): (&String, &Value)| Some((name.clone(), flat_type(type_name.as_str()?)?));
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
        // List items are not nullable: a list leaves out what is missing.
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

fn inline_references(members: &Map<String, Value>) -> Result<Value, InvalidSchema> {
    let mut inliner = ReferenceInliner {
        root: members,
        subschemas: 0,
        path: Vec::new(),
    };
    let mut json = inliner.members(members, 0)?;
    let is_object = match json.get("type") {
        None => json.contains_key("properties"),
        Some(name) => name == "object",
    };
    if !is_object {
        return refuse(
            r#"must describe an object: send {"type": "object", "properties": {...}}, or fields with their types like {"name": "string"}"#,
        );
    }
    json.insert("type".to_owned(), "object".into());
    Ok(Value::Object(json))
}

/// Replaces each reference by the schema that it points to.
struct ReferenceInliner<'a> {
    root: &'a Map<String, Value>,
    /// How many subschemas were visited so far.
    subschemas: usize,
    /// The references that lead to the current place.
    path: Vec<&'a str>,
}

impl<'a> ReferenceInliner<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<Value, InvalidSchema> {
        match schema {
            Value::Object(members) => self.members(members, depth).map(Value::Object),
            Value::Array(list) => {
                let list = list.iter().map(|item| self.schema(item, depth));
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
        self.subschemas += 1;
        if depth > MAX_SCHEMA_DEPTH {
            return refuse(format!(
                "is nested too deeply: send at most {MAX_SCHEMA_DEPTH} levels"
            ));
        }
        if self.subschemas > MAX_SUBSCHEMAS {
            return refuse(format!(
                "is too large once its references are inlined: send at most {MAX_SUBSCHEMAS} subschemas"
            ));
        }
        let mut inlined = Map::new();
        for (keyword, value) in members {
            let value = match keyword.as_str() {
                "$ref" => continue,
                "$dynamicRef" | "$recursiveRef" => {
                    return refuse(format!("uses {keyword}, which is not supported: use $ref"));
                }
                keyword if REFERENCE_KEYWORDS.contains(&keyword) => continue,
                keyword if SUBSCHEMA_KEYWORDS.contains(&keyword) => self.schema(value, depth + 1)?,
                keyword if SUBSCHEMA_MAP_KEYWORDS.contains(&keyword) => match value {
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
            inlined.insert(keyword.clone(), value);
        }
        match members.get("$ref") {
            Some(reference) => self.inline(reference, inlined, depth),
            None => Ok(inlined),
        }
    }

    /// The schema that a reference points to, combined with the reference's sibling keywords.
    fn inline(
        &mut self,
        reference: &'a Value,
        siblings: Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, InvalidSchema> {
        let pointer = reference
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'));
        let Some(pointer) = pointer.filter(|pointer| pointer.starts_with('/') || pointer.is_empty()) else {
            let advice = r##"put the schema into $defs and refer to it like "#/$defs/place""##;
            return refuse(format!("refers to {reference}, but nothing is fetched: {advice}"));
        };
        if pointer.is_empty() || self.path.contains(&pointer) {
            return refuse(format!(
                "refers to itself by {reference}: send a schema of a fixed depth"
            ));
        }
        let Some(Value::Object(target)) = self.find(pointer) else {
            return refuse(format!(
                "refers to {reference}, which does not exist: define it in $defs"
            ));
        };
        self.path.push(pointer);
        let target = self.members(target, depth + 1)?;
        self.path.pop();
        if siblings.keys().any(|keyword| target.contains_key(keyword)) {
            let mut combined = siblings;
            let all = combined.entry("allOf").or_insert_with(|| json!([]));
            if let Value::Array(all) = all {
                all.push(Value::Object(target));
            }
            return Ok(combined);
        }
        Ok(target.into_iter().chain(siblings).collect())
    }

    /// Resolves a JSON Pointer (RFC 6901).
    fn find(&self, pointer: &str) -> Option<&'a Value> {
        let mut tokens = pointer
            .split('/')
            .skip(1)
            .map(|token| token.replace("~1", "/").replace("~0", "~"));
        let mut value = self.root.get(&tokens.next()?)?;
        for token in tokens {
            value = match value {
                Value::Object(members) => members.get(&token)?,
                Value::Array(list) => list.get(token.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

//! Replaces each reference of a schema by the schema that it points to, within the limits of a schema.

mod class_work;
#[cfg(test)]
mod tests;
mod usage;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use self::usage::Usage;
use crate::{InvalidSchema, refuse};

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
/// Keywords for what no other keyword has evaluated. To find that out, the schemas within are evaluated once more.
const UNEVALUATED_KEYWORDS: [&str; 2] = ["unevaluatedItems", "unevaluatedProperties"];
/// Keywords whose value maps names to schemas.
const SUBSCHEMA_MAP_KEYWORDS: [&str; 4] = [
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords without a schema that change what another keyword beside them means.
const MODIFIER_KEYWORDS: [&str; 4] = [
    "contentEncoding",
    "contentMediaType",
    "maxContains",
    "minContains",
];
/// Keywords that serve references only, and so are dropped once references are inlined.
const REFERENCE_KEYWORDS: [&str; 5] = ["$anchor", "$defs", "$id", "definitions", "id"];

/// A schema without references.
pub(crate) struct Inlined {
    pub(crate) json: Value,
    /// How many patterns it has.
    pub(crate) patterns: usize,
}

pub(crate) fn inline_references(members: &Map<String, Value>) -> Result<Inlined, InvalidSchema> {
    let mut inliner = ReferenceInliner {
        root: members,
        usage: Usage::default(),
        path: Vec::new(),
    };
    let mut json = inliner.members(members, 0)?;
    if !describes_object(&json) {
        return refuse(
            r#"must describe an object: send {"type": "object", "properties": {...}}, or fields with their types like {"name": "string"}"#,
        );
    }
    if json.insert("type".to_owned(), "object".into()).is_none() {
        inliner.usage.add_bytes(r#","type":"object""#.len())?;
    }
    Ok(Inlined {
        json: Value::Object(json),
        patterns: inliner.usage.patterns(),
    })
}

/// Whether the schema says that its value is an object, by itself or in `allOf`, which is where references are inlined.
fn describes_object(schema: &Map<String, Value>) -> bool {
    let all = schema.get("allOf").and_then(Value::as_array);
    match schema.get("type") {
        Some(name) => name == "object",
        None if schema.contains_key("properties") => true,
        None => all
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .any(describes_object),
    }
}

/// Whether each keyword of the schema means the same whatever is beside it, and nothing to what is beside it.
fn is_independent(schema: &Map<String, Value>) -> bool {
    let mut keywords = schema.keys().map(String::as_str);
    !keywords.any(|keyword| {
        SUBSCHEMA_KEYWORDS.contains(&keyword)
            || SUBSCHEMA_MAP_KEYWORDS.contains(&keyword)
            || MODIFIER_KEYWORDS.contains(&keyword)
    })
}

/// Whether two schemas mean the same as one with the keywords of both.
fn can_merge(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    (is_independent(one) || is_independent(other)) && !one.keys().any(|keyword| other.contains_key(keyword))
}

struct ReferenceInliner<'a> {
    root: &'a Map<String, Value>,
    /// What the schema uses of its limits so far. Each part is counted before it is copied.
    usage: Usage,
    /// The references that lead to the current place.
    path: Vec<&'a str>,
}

impl<'a> ReferenceInliner<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<Value, InvalidSchema> {
        match schema {
            Value::Object(members) => self.members(members, depth).map(Value::Object),
            Value::Array(list) => {
                self.usage.add_container(list.len())?;
                let list = list.iter().map(|item| self.schema(item, depth));
                list.collect::<Result<_, _>>().map(Value::Array)
            }
            Value::Bool(_) => {
                self.usage.add_subschema(depth)?;
                self.copy(schema)
            }
            other => self.copy(other),
        }
    }

    /// A copy of a value that has no schema in it.
    fn copy(&mut self, value: &Value) -> Result<Value, InvalidSchema> {
        self.usage.add_value(value)?;
        Ok(value.clone())
    }

    fn members(
        &mut self,
        members: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, InvalidSchema> {
        let is_unevaluated = UNEVALUATED_KEYWORDS
            .iter()
            .any(|keyword| members.contains_key(*keyword));
        if !is_unevaluated {
            return self.all_members(members, depth);
        }
        self.usage.enter_unevaluated()?;
        let inlined = self.all_members(members, depth)?;
        self.usage.leave_unevaluated();
        Ok(inlined)
    }

    fn all_members(
        &mut self,
        members: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, InvalidSchema> {
        self.usage.add_subschema(depth)?;
        self.usage.add_container(members.len())?;
        let mut inlined = Map::new();
        for (keyword, value) in members {
            if keyword == "$ref" || REFERENCE_KEYWORDS.contains(&keyword.as_str()) {
                continue;
            }
            self.usage.add_name(keyword)?;
            let value = match (keyword.as_str(), value) {
                ("$dynamicRef" | "$recursiveRef", _) => {
                    return refuse(format!("uses {keyword}, which is not supported: use $ref"));
                }
                ("pattern", Value::String(pattern)) => {
                    self.usage.add_pattern(pattern)?;
                    self.copy(value)?
                }
                (keyword, _) if SUBSCHEMA_KEYWORDS.contains(&keyword) => self.schema(value, depth + 1)?,
                (keyword, Value::Object(schemas)) if SUBSCHEMA_MAP_KEYWORDS.contains(&keyword) => {
                    self.named_schemas(keyword, schemas, depth + 1)?
                }
                _ => self.copy(value)?,
            };
            inlined.insert(keyword.clone(), value);
        }
        match members.get("$ref") {
            Some(reference) => self.inline(reference, inlined, depth),
            None => Ok(inlined),
        }
    }

    fn named_schemas(
        &mut self,
        keyword: &str,
        schemas: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Value, InvalidSchema> {
        self.usage.add_container(schemas.len())?;
        let mut inlined = Map::new();
        for (name, schema) in schemas {
            if keyword == "patternProperties" {
                self.usage.add_pattern(name)?;
            }
            self.usage.add_name(name)?;
            inlined.insert(name.clone(), self.schema(schema, depth)?);
        }
        Ok(Value::Object(inlined))
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
        let target = match self.find(pointer) {
            Some(target @ (Value::Object(_) | Value::Bool(_))) => target,
            Some(_) => return refuse(format!("refers to {reference}, which is not a schema")),
            None => {
                return refuse(format!(
                    "refers to {reference}, which does not exist: define it in $defs"
                ));
            }
        };
        self.path.push(pointer);
        let target = self.schema(target, depth + 1)?;
        self.path.pop();
        match target {
            Value::Object(target) if can_merge(&siblings, &target) => {
                Ok(target.into_iter().chain(siblings).collect())
            }
            target => {
                self.usage.add_bytes(r#","allOf":[]"#.len())?;
                let mut combined = siblings;
                let all = combined.entry("allOf").or_insert_with(|| json!([]));
                if let Value::Array(all) = all {
                    all.push(target);
                }
                Ok(combined)
            }
        }
    }

    /// Resolves a JSON Pointer in a URI's fragment (RFC 6901, section 6).
    fn find(&self, pointer: &str) -> Option<&'a Value> {
        let pointer = percent_decode_str(pointer).decode_utf8().ok()?;
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

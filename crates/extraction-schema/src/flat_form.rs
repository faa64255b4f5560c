//! The flat form of a schema: the names of the fields with their types.

use serde_json::{Map, Value, json};

use crate::{InvalidSchema, MAX_SCHEMA_DEPTH, MAX_SUBSCHEMAS, refuse};

/// The JSON Schema of the flat form. `None` unless every member names a type.
///
/// # Errors
/// When there are more fields, or lists within lists, than a schema may have.
pub(crate) fn expand_flat_form(
    members: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>, InvalidSchema> {
    let is_any_object = members.len() == 1 && members.get("type").is_some_and(|name| name == "object");
    if members.is_empty() || is_any_object {
        return Ok(None);
    }
    let field =
        |(name, type_name): (&String, &Value)| Some((name.clone(), FlatType::parse(type_name.as_str()?)?));
    let Some(fields) = members.iter().map(field).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    // Checked before the schema is built: a name as short as `string[][]` stands for many subschemas.
    if fields.len() > MAX_SUBSCHEMAS {
        return refuse(format!(
            "has {} fields: send at most {MAX_SUBSCHEMAS}",
            fields.len()
        ));
    }
    if fields.iter().any(|(_, field)| field.lists > MAX_SCHEMA_DEPTH) {
        return refuse(format!(
            "is nested too deeply: send at most {MAX_SCHEMA_DEPTH} levels"
        ));
    }
    let required: Vec<_> = members.keys().map(|name| Value::from(name.as_str())).collect();
    let properties: Map<_, _> = fields
        .iter()
        .map(|(name, field)| (name.clone(), field.to_schema()))
        .collect();
    Ok(Some(Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("properties".to_owned(), properties.into()),
        ("required".to_owned(), required.into()),
        ("additionalProperties".to_owned(), false.into()),
    ])))
}

/// A type like `integer`, or a list of it like `integer[]`.
struct FlatType {
    name: &'static str,
    /// How many lists enclose the type.
    lists: usize,
}

impl FlatType {
    fn parse(name: &str) -> Option<Self> {
        let item = name.trim_end_matches("[]");
        let lists = (name.len() - item.len()) / "[]".len();
        let name = match item.to_ascii_lowercase().as_str() {
            "string" | "str" | "text" | "date" => "string",
            "integer" | "int" => "integer",
            "number" | "float" => "number",
            "boolean" | "bool" => "boolean",
            "array" | "list" => "array",
            "object" => "object",
            _ => return None,
        };
        Some(Self { name, lists })
    }

    fn to_schema(&self) -> Value {
        let item = json!({ "type": self.name });
        let mut schema = (0..self.lists).fold(item, |item, _| json!({ "type": "array", "items": item }));
        // List items are not nullable: a list leaves out what is missing.
        schema["type"] = json!([schema["type"].take(), "null"]);
        schema
    }
}

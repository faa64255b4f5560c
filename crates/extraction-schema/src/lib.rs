//! The schemas of `data_extraction` tasks: a JSON Schema, or a flat list of fields with their types.
//!
//! A schema is untrusted input, so [`Schema::parse`] makes it harmless before it is used. Nothing is ever fetched.
//! References are inlined, so a schema can neither recurse nor expand without limit. Patterns match in linear time.
//! All limits are checked before anything is compiled.

mod coerce;
mod flat_form;
mod inline;
#[cfg(test)]
mod tests;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::coerce::coerce;
use crate::flat_form::expand_flat_form;
use crate::inline::{Inlined, inline_references};

/// The maximum nesting depth of schemas within schemas, counted after references are inlined.
pub const MAX_SCHEMA_DEPTH: usize = 16;
/// The maximum number of subschemas, `true` and `false` included, counted after references are inlined.
pub const MAX_SUBSCHEMAS: usize = 1_000;
/// The maximum size of the inlined schema, in bytes of JSON. A language model reads all of it, in each request twice.
pub const MAX_INLINED_BYTES: usize = 32_768;
/// The maximum number of patterns: each `pattern` and each key of `patternProperties`, counted after references are inlined.
pub const MAX_PATTERNS: usize = 32;
/// The maximum length of all patterns together, in bytes. Patterns of this length take up to 0.2 s and 20 MB to parse.
pub const MAX_PATTERN_BYTES: usize = 2_000;
/// The maximum number of code points in the classes of all patterns together that ignore case (`(?i)`). A property there, and
/// a negated class within a class, counts as all code points, and a property elsewhere as [`PROPERTY_WORK`].
pub const MAX_CLASS_WORK: usize = 5_000_000;
/// What a property such as `\p{L}` counts for where case is not ignored. Its some hundred ranges are sorted and merged.
pub const PROPERTY_WORK: usize = 20_000;
/// The maximum size of all compiled patterns together, in bytes. Each of n patterns may take an n-th of it, so that the sum
/// is bounded before the first one is compiled.
pub const MAX_COMPILED_BYTES: usize = 1 << 20;
/// The maximum nesting of schemas with `unevaluatedProperties` or `unevaluatedItems` within each other. Each level evaluates
/// what is within it about two and a half times.
pub const MAX_UNEVALUATED_DEPTH: usize = 4;
/// The maximum number of validation errors that a [`Mismatch`] lists.
const MAX_REPORTED_ERRORS: usize = 5;
/// The validator makes all errors before the first one is read, of some 350 bytes each: no more than each part of a schema may
/// make for each value. Beyond this product a [`Mismatch`] lists none.
const MAX_LISTED_PRODUCT: usize = 200_000;

/// A validated schema for the result of an extraction.
///
/// It has no validator, which may take a thousand times the memory of its schema: each answer gets one, for as long as it is
/// validated.
#[derive(Debug)]
pub struct Schema {
    json: Value,
    /// How many patterns it has.
    patterns: usize,
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
    /// [`InvalidSchema`] when it is neither form, recursive, refers to another document, or exceeds a limit once its
    /// references are inlined.
    pub fn parse(schema: Value) -> Result<Self, InvalidSchema> {
        let Value::Object(members) = &schema else {
            return refuse(
                r#"is not a JSON object: send a JSON Schema of an object, or fields with their types like {"name": "string"}"#,
            );
        };
        let Inlined { json, patterns } = match expand_flat_form(members)? {
            Some(json) => inline_references(&json)?,
            None => inline_references(members)?,
        };
        let schema = Self { json, patterns };
        schema
            .validator()
            .map_err(|error| InvalidSchema(explain(&error, schema.pattern_bytes())))?;
        Ok(schema)
    }

    fn validator(&self) -> Result<Validator, ValidationError<'_>> {
        let share = self.pattern_bytes();
        // The second limit is that of the cache which each pattern fills while it matches.
        let limits = PatternOptions::regex().size_limit(share).dfa_size_limit(share);
        jsonschema::options()
            .offline()
            .with_pattern_options(limits)
            .build(&self.json)
    }

    /// What each pattern may take once it is compiled, in bytes.
    fn pattern_bytes(&self) -> usize {
        MAX_COMPILED_BYTES / self.patterns.max(1)
    }

    /// The schema as JSON Schema, without references.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.json
    }

    /// Returns a valid object as it is. Coerces the values of another one to the schema's types where the intended value is
    /// unambiguous, then validates it.
    ///
    /// # Errors
    /// [`Mismatch`] when the coerced object is not valid.
    pub fn conform(&self, object: Map<String, Value>) -> Result<Map<String, Value>, Mismatch> {
        let validator = self.validator().map_err(|error| Mismatch(error.to_string()))?;
        let object = Value::Object(object);
        let coerced = if validator.is_valid(&object) {
            object
        } else {
            coerce(object, &self.json)
        };
        let is_valid = validator.is_valid(&coerced);
        match coerced {
            Value::Object(members) if is_valid => Ok(members),
            other => Err(self.mismatch(&validator, &other)),
        }
    }

    fn mismatch(&self, validator: &Validator, object: &Value) -> Mismatch {
        if count(&self.json).saturating_mul(count(object)) > MAX_LISTED_PRODUCT {
            return Mismatch("it does not match the schema, and is too large to list where".to_owned());
        }
        let errors = validator.iter_errors(object).take(MAX_REPORTED_ERRORS);
        let texts: Vec<_> = errors
            .map(|error| match error.instance_path().as_str() {
                "" => error.masked().to_string(),
                path => format!("at {path}: {}", error.masked()),
            })
            .collect();
        Mismatch(texts.join("; "))
    }
}

/// How many values there are: the value and all within it.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, InvalidSchema> {
    Err(InvalidSchema(reason.into()))
}

/// Says of a pattern that can't be compiled what a pattern may be: the library says only that it is not a regex.
fn explain(error: &ValidationError<'_>, share: usize) -> String {
    match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => format!(
            "has the pattern {}: send a regular expression without look-around and back-references that compiles to at most \
             {share} bytes, or fewer patterns",
            error.instance()
        ),
        _ => format!("is not a valid JSON Schema: {error}"),
    }
}

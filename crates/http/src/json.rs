//! How a request's JSON is read, for every route alike. RFC 8259 leaves some things open, and here is how they are decided:
//!
//! - A field that is given twice is refused, however its name is escaped.
//! - Text that is not Unicode (half of a surrogate pair) and numbers without a finite value are refused.
//! - A whole number is an integer however it is written (`3`, `3.0`, `3e0`), as in JSON Schema.
//! - The memory of the values is bounded, because a body of many small objects takes a hundred times its size.
//!
//! What is wrong with a value names its place, and is separate from what is wrong with the syntax: a batch whose syntax is
//! right is taken, and each entry is refused by itself.

use std::fmt::{self, Write};

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::limits::{MAX_BODY_BYTES, event_bytes};
use crate::{Problem, RequestContext};

/// The memory that the values of one request may take, in bytes. An ordinary batch of 1,000 tasks takes 3 MB. What is made of
/// the values takes as much again, and the api's function has 256 MB.
pub const MAX_VALUES_BYTES: usize = 48 * 1024 * 1024;

// What values take beside their text, rounded up to what an allocator gives.
/// A place for a value. A list that grows has up to as many places again.
const VALUE_BYTES: usize = 2 * size_of::<Value>();
/// The allocation of a text.
const TEXT_BYTES: usize = 32;
/// The smallest list has four places.
const LIST_BYTES: usize = 4 * size_of::<Value>() + 16;
/// The smallest object has eleven places for names and values.
const OBJECT_BYTES: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 32;

/// Whole numbers up to here are exact however they are written.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A body that should be JSON, of a request that the host takes as an event.
#[derive(Debug)]
pub struct JsonText(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let max_event_bytes = RequestContext::from_extensions(request.extensions()).max_event_bytes;
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_BODY_BYTES).await;
        let body = body.map_err(|_| Problem::payload_too_large(MAX_BODY_BYTES + 1, MAX_BODY_BYTES))?;
        if let Some(max) = max_event_bytes {
            let event = event_bytes(&parts, &body);
            if event > max {
                return Err(Problem::payload_too_large(event, max));
            }
        }
        Ok(Self(body))
    }
}

/// A body that is JSON.
#[derive(Debug)]
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let JsonText(text) = JsonText::from_request(request, state).await?;
        parse(&text).map(Self)
    }
}

/// Parses a whole body.
///
/// # Errors
/// The problem `invalid-json` for its syntax, `invalid-body` for a value.
pub fn parse(text: &[u8]) -> Result<Value, Problem> {
    parse_value(check_syntax(text)?, &mut MAX_VALUES_BYTES.clone())
}

/// Checks the syntax without reading the values.
///
/// # Errors
/// The problem `invalid-json`.
pub fn check_syntax(text: &[u8]) -> Result<&RawValue, Problem> {
    serde_json::from_slice(text).map_err(|error| Problem::invalid_json(&error))
}

/// Parses a text of valid syntax. `budget` is the memory that its values may take, in bytes, and then what is left of it.
///
/// # Errors
/// The problem `invalid-body`, or `invalid-json` for too many levels. The budget is then what it was.
pub fn parse_value(text: &RawValue, budget: &mut usize) -> Result<Value, Problem> {
    let mut reader = Reader {
        budget: *budget,
        refusal: None,
        place: Vec::new(),
    };
    let parsed = reader.deserialize(&mut serde_json::Deserializer::from_str(text.get()));
    match parsed {
        Ok(value) => {
            *budget = reader.budget;
            Ok(value)
        }
        Err(error) => Err(reader.problem(&error)),
    }
}

/// Builds a value, and knows its place where that fails.
struct Reader {
    /// The memory that the values may still take, in bytes.
    budget: usize,
    /// Why this module refused; `None` where serde_json did.
    refusal: Option<Refusal>,
    /// From the value that is refused to the outermost.
    place: Vec<Step>,
}

#[derive(Clone, Copy)]
enum Refusal {
    GivenTwice,
    TooManyValues,
}

enum Step {
    Field(String),
    Index(usize),
}

impl Reader {
    fn refuse<E: Error>(&mut self, refusal: Refusal) -> E {
        self.refusal = Some(refusal);
        E::custom("refused")
    }

    fn charge<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.refuse(Refusal::TooManyValues)),
        }
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for step in self.place.iter().rev() {
            // Writing to a string never fails.
            let _ = match step {
                Step::Field(name) if place.is_empty() => write!(place, "{name}"),
                Step::Field(name) => write!(place, ".{name}"),
                Step::Index(index) => write!(place, "[{index}]"),
            };
        }
        if place.is_empty() {
            place.push_str("the body");
        }
        place
    }

    fn problem(&self, error: &serde_json::Error) -> Problem {
        let place = self.place();
        match self.refusal {
            Some(Refusal::GivenTwice) => {
                Problem::invalid_body(format!("{place} is given twice: send each field once"))
            }
            Some(Refusal::TooManyValues) => Problem::invalid_body(format!(
                "the values take more than {MAX_VALUES_BYTES} bytes of memory: send fewer or larger values in one request"
            )),
            None => match error.to_string() {
                why if why.starts_with("recursion limit") => Problem::invalid_json(error),
                why if why.starts_with("number") => Problem::invalid_body(format!(
                    "{place} is a number out of range: send a number with a magnitude below 1.8e308"
                )),
                _ => Problem::invalid_body(format!(
                    "{place} contains half of a surrogate pair: send both \\u escapes of the character, or the character itself"
                )),
            },
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if value.fract() == 0.0 && value.abs() < MAX_EXACT {
            return Ok((value as i64).into());
        }
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.charge(TEXT_BYTES + text.len())?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut given: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            match given.next_element_seed(&mut *self) {
                Ok(Some(value)) => {
                    self.charge(VALUE_BYTES + if list.is_empty() { LIST_BYTES } else { 0 })?;
                    list.push(value);
                }
                Ok(None) => return Ok(list.into()),
                Err(error) => {
                    self.place.push(Step::Index(list.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = given.next_key::<String>()? {
            let of_object = if object.is_empty() { OBJECT_BYTES } else { 0 };
            self.charge(VALUE_BYTES + TEXT_BYTES + name.len() + of_object)?;
            let value = if object.contains_key(&name) {
                Err(self.refuse(Refusal::GivenTwice))
            } else {
                given.next_value_seed(&mut *self)
            };
            match value {
                Ok(value) => object.insert(name, value),
                Err(error) => {
                    self.place.push(Step::Field(name));
                    return Err(error);
                }
            };
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests;

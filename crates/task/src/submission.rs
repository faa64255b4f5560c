//! What a client may submit: the body of `POST /v1/tasks`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::input::object_fields;
use crate::{InvalidInput, MAX_ATTEMPTS, Priority, Submitted, TaskType, UnknownTaskType, by_name};

/// The highest number of a task's metadata pairs.
pub const MAX_METADATA_PAIRS: usize = 10;
/// The highest number of bytes of a task's metadata, keys and values together.
pub const MAX_METADATA_BYTES: usize = 1_024;

/// The highest timeout of an attempt, in seconds: no Lambda function runs longer. A worker's own limit is usually lower, and
/// the lower of the two applies.
pub const MAX_TIMEOUT_SECONDS: u32 = 900;

/// The client's own notes on a task, returned unchanged.
pub type Metadata = BTreeMap<String, String>;

/// A checked submission.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    pub task_type: TaskType,
    pub input: Submitted,
    /// Empty if the client sent none.
    pub metadata: Metadata,
    pub priority: Priority,
    /// 1 to [`MAX_ATTEMPTS`]; `None` for the number in the type's retry policy.
    pub max_attempts: Option<u32>,
    /// 1 to [`MAX_TIMEOUT_SECONDS`]; `None` for the worker's limit.
    pub timeout_seconds: Option<u32>,
}

/// Which part of a submission is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmissionRefusal {
    /// The body as a whole.
    Shape,
    /// `type`.
    TaskType,
    /// `input`.
    Input,
    /// `metadata`.
    Metadata,
    /// `priority`.
    Priority,
    /// `max_attempts` or `timeout_seconds`.
    Limits,
}

/// Why a submission is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidSubmission {
    pub refusal: SubmissionRefusal,
    /// A sentence that names the part and says what to send.
    pub message: String,
}

impl InvalidSubmission {
    fn new(refusal: SubmissionRefusal, message: impl Into<String>) -> Self {
        Self {
            refusal,
            message: message.into(),
        }
    }
}

impl From<UnknownTaskType> for InvalidSubmission {
    fn from(error: UnknownTaskType) -> Self {
        Self::new(SubmissionRefusal::TaskType, error.to_string())
    }
}

impl From<InvalidInput> for InvalidSubmission {
    fn from(error: InvalidInput) -> Self {
        Self::new(SubmissionRefusal::Input, error.0)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(rename = "type")]
    task_type: String,
    input: Value,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    priority: Option<Value>,
    #[serde(default)]
    max_attempts: Option<Value>,
    #[serde(default)]
    timeout_seconds: Option<Value>,
}

impl NewTask {
    /// Checks the body of a request.
    ///
    /// # Errors
    /// [`InvalidSubmission`] names the first part that is not valid.
    pub fn parse(body: Value) -> Result<Self, InvalidSubmission> {
        let fields: Fields = object_fields(body).map_err(|why| {
            let shape = r#"send {"type": "...", "input": {...}}, optionally with metadata, priority, max_attempts, timeout_seconds"#;
            InvalidSubmission::new(
                SubmissionRefusal::Shape,
                format!("the body is not a task: {why}; {shape}"),
            )
        })?;
        let task_type = fields.task_type.parse()?;
        let metadata = metadata(fields.metadata)?;
        let priority = priority(fields.priority)?;
        let max_attempts = whole_number("max_attempts", fields.max_attempts, MAX_ATTEMPTS)?;
        let timeout_seconds = whole_number("timeout_seconds", fields.timeout_seconds, MAX_TIMEOUT_SECONDS)?;
        let input = Submitted::parse(task_type, fields.input)?;
        Ok(Self {
            task_type,
            input,
            metadata,
            priority,
            max_attempts,
            timeout_seconds,
        })
    }
}

fn priority(given: Option<Value>) -> Result<Priority, InvalidSubmission> {
    let Some(given) = given.filter(|given| !given.is_null()) else {
        return Ok(Priority::default());
    };
    let names = Priority::ALL.map(Priority::as_str).join(", ");
    by_name(given).map_err(|_| {
        InvalidSubmission::new(
            SubmissionRefusal::Priority,
            format!("priority must be one of {names}"),
        )
    })
}

/// A number from 1 to `max`; `None` if the field is absent or null.
fn whole_number(name: &str, given: Option<Value>, max: u32) -> Result<Option<u32>, InvalidSubmission> {
    let Some(given) = given.filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    let number = given.as_u64().and_then(|number| u32::try_from(number).ok());
    match number.filter(|number| (1..=max).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(InvalidSubmission::new(
            SubmissionRefusal::Limits,
            format!("{name} must be a whole number from 1 to {max}"),
        )),
    }
}

fn metadata(given: Option<Value>) -> Result<Metadata, InvalidSubmission> {
    let refuse = |message: String| Err(InvalidSubmission::new(SubmissionRefusal::Metadata, message));
    let metadata: Metadata = match given {
        None | Some(Value::Null) => return Ok(Metadata::new()),
        Some(value) => match serde_json::from_value(value) {
            Ok(metadata) => metadata,
            Err(_) => return refuse("metadata must be an object whose values are all strings".to_owned()),
        },
    };
    let pairs = metadata.len();
    if pairs > MAX_METADATA_PAIRS {
        return refuse(format!(
            "metadata has {pairs} pairs: send at most {MAX_METADATA_PAIRS}"
        ));
    }
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_METADATA_BYTES {
        return refuse(format!(
            "metadata has {bytes} bytes: send at most {MAX_METADATA_BYTES}, keys included"
        ));
    }
    if metadata.contains_key("") {
        return refuse("metadata has an empty key: name it".to_owned());
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(body: Value) -> SubmissionRefusal {
        NewTask::parse(body).unwrap_err().refusal
    }

    fn with_metadata(metadata: Value) -> Value {
        json!({ "type": "sentiment", "input": { "text": "fine" }, "metadata": metadata })
    }

    #[test]
    fn a_refusal_names_the_part_that_is_not_valid() {
        for body in [
            json!([]),
            json!({}),
            json!({ "type": "sentiment" }),
            json!({ "type": 1, "input": {} }),
        ] {
            assert_eq!(refusal(body), SubmissionRefusal::Shape);
        }
        assert_eq!(
            refusal(json!({ "type": "sentiment", "input": {}, "typo": 1 })),
            SubmissionRefusal::Shape
        );
        assert_eq!(
            refusal(json!({ "type": "telepathy", "input": {} })),
            SubmissionRefusal::TaskType
        );
        assert_eq!(
            refusal(json!({ "type": "sentiment", "input": {} })),
            SubmissionRefusal::Input
        );
    }

    #[test]
    fn a_name_is_a_string() {
        let mut body =
            json!({ "type": "classify", "input": { "text": "fine", "engine": "llm" }, "priority": "high" });
        NewTask::parse(body.clone()).unwrap();
        body["priority"] = json!({ "high": null });
        assert_eq!(refusal(body.clone()), SubmissionRefusal::Priority);
        body["priority"] = Value::Null;
        body["input"]["engine"] = json!({ "llm": null });
        assert_eq!(refusal(body), SubmissionRefusal::Input);
    }

    #[test]
    fn limits_are_whole_numbers_within_bounds() {
        let with = |name: &str, value: Value| {
            let mut body = with_metadata(json!(null));
            body[name] = value;
            NewTask::parse(body)
        };
        for value in [json!(0), json!(11), json!(-1), json!(1.5), json!("3"), json!([])] {
            let refused = with("max_attempts", value).unwrap_err();
            assert_eq!(refused.refusal, SubmissionRefusal::Limits);
        }
        assert_eq!(with("max_attempts", json!(10)).unwrap().max_attempts, Some(10));
        assert_eq!(
            with("timeout_seconds", json!(900)).unwrap().timeout_seconds,
            Some(900)
        );
        assert_eq!(
            with("timeout_seconds", json!(null)).unwrap().timeout_seconds,
            None
        );
        assert!(with("timeout_seconds", json!(901)).is_err());
    }

    #[test]
    fn metadata_is_bounded() {
        let many: Metadata = (0..11).map(|n| (format!("key-{n}"), String::new())).collect();
        for metadata in [
            json!(many),
            json!({ "k": "v".repeat(1_024) }),
            json!({ "k": 1 }),
            json!([]),
            json!({ "": "v" }),
        ] {
            assert_eq!(refusal(with_metadata(metadata)), SubmissionRefusal::Metadata);
        }
        let task = NewTask::parse(with_metadata(json!({ "k": "v".repeat(1_023) }))).unwrap();
        assert_eq!(task.metadata.len(), 1);
        assert!(
            NewTask::parse(with_metadata(json!(null)))
                .unwrap()
                .metadata
                .is_empty()
        );
    }
}

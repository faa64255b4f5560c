//! The input of each task type: checked when it is submitted, stored until a worker runs the task.
//!
//! An input has a [`Content`] (texts, an image or a recording) and [`Parameters`]. The request contains the content, or
//! names an upload. A small text is stored in the task's item, every other content in the payload bucket.

mod content;
mod image;
mod parameters;
#[cfg(test)]
mod tests;
mod upload;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::TaskType;
use content::Given;

pub use content::{Content, MAX_MEDIA_BYTES, MAX_TEXT_BYTES, MAX_TEXTS, Size};
pub use parameters::{
    Classify, DEFAULT_LABELS, DEFAULT_SUMMARY_SENTENCES, DataExtraction, Engine, MAX_LABEL_BYTES, MAX_LABELS,
    MAX_SCHEMA_BYTES, MAX_SUMMARY_SENTENCES, Parameters, Summarize, Translate,
};
pub use upload::{NewUpload, UploadId, Uploaded};

/// The largest input that the task's item contains, in bytes of JSON. The item is written three times, which for this size
/// costs as much as one object in the bucket.
pub const MAX_INLINE_INPUT_BYTES: usize = 4_096;

/// A task's input, checked and ready to run. The content is of the kind that the type of the parameters accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub parameters: Parameters,
    pub content: Content,
}

/// An input as a client submitted it.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// The request contains the content.
    Whole(Input),
    /// The content was uploaded before the request.
    Uploaded(Uploaded),
}

/// How an input will be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredInput {
    /// In the task's item.
    Inline(Value),
    /// As an object in the payload bucket.
    Object {
        body: Vec<u8>,
        /// The media type, detected from the content.
        content_type: &'static str,
        /// The fields that stay in the item.
        parameters: Map<String, Value>,
    },
}

/// Where a task's input is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The whole input is in the item.
    Inline(Value),
    /// The content is in the payload bucket.
    Object {
        object: ObjectRef,
        /// The input's fields other than the content.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        parameters: Map<String, Value>,
    },
}

/// A reference to an object in the payload bucket. It contains enough to detect that the object was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The key, which the server chose.
    pub key: String,
    /// The ETag at submission, with quotes as S3 returns it.
    pub etag: String,
    /// The SHA-256 of the body, in hex.
    pub sha256: String,
    /// The length of the body.
    pub bytes: u64,
    /// The media type, detected from the content.
    pub content_type: String,
}

/// Why an input is refused: a sentence that names the field and says what to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidInput(pub String);

impl InvalidInput {
    fn new_with_shape(task_type: TaskType, why: &str) -> Self {
        let shape = task_type.input_shape();
        Self(format!("input: {why}; send {shape}"))
    }
}

impl Submitted {
    /// Checks the `input` member of a submission.
    ///
    /// # Errors
    /// [`InvalidInput`] when a field is missing, unknown, of the wrong type, empty or too large.
    pub fn parse(task_type: TaskType, input: Value) -> Result<Self, InvalidInput> {
        let Value::Object(mut fields) = input else {
            return Err(InvalidInput::new_with_shape(task_type, "it is not a JSON object"));
        };
        let given = content::take(task_type, &mut fields)?;
        let parameters = Parameters::parse(task_type, fields)?;
        Ok(match given {
            Given::Content(content) => Self::Whole(Input { parameters, content }),
            Given::Upload(id) => Self::Uploaded(Uploaded {
                id,
                parameters,
                task_type,
            }),
        })
    }

    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        match self {
            Self::Whole(input) => &input.parameters,
            Self::Uploaded(uploaded) => &uploaded.parameters,
        }
    }
}

impl Input {
    /// Reads an input back that is stored in the task's item.
    ///
    /// # Errors
    /// [`InvalidInput`] when [`Input::into_stored`] did not make the value.
    pub fn from_inline(task_type: TaskType, input: Value) -> Result<Self, InvalidInput> {
        match Submitted::parse(task_type, input)? {
            Submitted::Whole(input) => Ok(input),
            Submitted::Uploaded(_) => Err(InvalidInput(
                "the stored input names an upload instead of a content: submit the task again".to_owned(),
            )),
        }
    }

    /// Reads an input back whose content is in the payload bucket.
    ///
    /// # Errors
    /// [`InvalidInput`] when the type does not accept the content. Of an upload, only the beginning was checked before.
    pub fn from_object(
        task_type: TaskType,
        parameters: Map<String, Value>,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Self, InvalidInput> {
        Ok(Self {
            parameters: Parameters::parse(task_type, parameters)?,
            content: Content::from_object(task_type, content_type, body)?,
        })
    }

    /// Decides where the input is stored until the task runs.
    #[must_use]
    pub fn into_stored(self) -> StoredInput {
        let parameters = self.parameters.to_fields();
        if let Some((name, value)) = self.content.to_field() {
            let mut fields = parameters.clone();
            fields.insert(name.to_owned(), value);
            let inline = Value::Object(fields);
            if inline.to_string().len() <= MAX_INLINE_INPUT_BYTES {
                return StoredInput::Inline(inline);
            }
        }
        let (body, content_type) = self.content.into_object();
        StoredInput::Object {
            body,
            content_type,
            parameters,
        }
    }
}

/// Reads a JSON object's fields. serde alone would accept an array too, and take its elements as the fields in order.
pub(crate) fn object_fields<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    if value.is_object() {
        serde_json::from_value(value).map_err(|error| error.to_string())
    } else {
        Err("it is not a JSON object".to_owned())
    }
}

//! What each task type takes, checked, and how it is kept until a worker runs it.
//!
//! An input is a [`Content`] (texts, a picture, a recording) and the [`Parameters`] that say what is asked of it. The
//! content comes inside the request or was uploaded before; small texts ride inside the task's item, all else is an
//! object in the payload bucket.

mod content;
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

/// Up to this many bytes of JSON an input rides inside the task's item: there its three writes cost what one object
/// in the bucket would.
pub const MAX_INLINE_INPUT_BYTES: usize = 4_096;

/// A task's input, checked and ready to run. Its content is of the kind that its parameters' type takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What is asked.
    pub parameters: Parameters,
    /// Of what it is asked.
    pub content: Content,
}

/// An input as a client may submit it.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// Whole.
    Whole(Input),
    /// With a content that was uploaded before.
    Uploaded(Uploaded),
}

/// How an input is to be kept.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredInput {
    /// In the task's item.
    Inline(Value),
    /// As an object in the payload bucket.
    Object {
        /// The object's body.
        body: Vec<u8>,
        /// Its media type, by its content.
        content_type: &'static str,
        /// The parameters, which stay in the item.
        parameters: Map<String, Value>,
    },
}

/// Where a task's input is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// In the item itself.
    Inline(Value),
    /// Its content in the payload bucket.
    Object {
        /// The content.
        object: ObjectRef,
        /// The input's other fields.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        parameters: Map<String, Value>,
    },
}

/// An object, pinned: whoever reads it can tell whether it is still the one that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its key in the payload bucket, made by the server.
    pub key: String,
    /// Its ETag at submit, as S3 gave it (quotes included).
    pub etag: String,
    /// SHA-256 of its body, in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// Its media type, by its content.
    pub content_type: String,
}

/// Why an input is refused. The sentence names the field and says what to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidInput(pub String);

impl InvalidInput {
    fn shaped(task_type: TaskType, why: &str) -> Self {
        let shape = task_type.input_shape();
        Self(format!("input: {why}; send {shape}"))
    }
}

impl Submitted {
    /// Checks the `input` member of a submission.
    ///
    /// # Errors
    /// [`InvalidInput`] when a field is missing, unknown, of the wrong type, empty, too large or of another kind.
    pub fn parse(task_type: TaskType, input: Value) -> Result<Self, InvalidInput> {
        let Value::Object(mut fields) = input else {
            return Err(InvalidInput::shaped(task_type, "it is no JSON object"));
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

    /// What is asked.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        match self {
            Self::Whole(input) => &input.parameters,
            Self::Uploaded(uploaded) => &uploaded.parameters,
        }
    }
}

impl Input {
    /// Reads an input back that rides inside its task's item.
    ///
    /// # Errors
    /// [`InvalidInput`] when it is not what [`Input::into_stored`] made.
    pub fn from_inline(task_type: TaskType, input: Value) -> Result<Self, InvalidInput> {
        match Submitted::parse(task_type, input)? {
            Submitted::Whole(input) => Ok(input),
            Submitted::Uploaded(_) => Err(InvalidInput("the stored input names an upload".to_owned())),
        }
    }

    /// Reads an input back whose content is an object.
    ///
    /// # Errors
    /// [`InvalidInput`] when the content is not of the kind that the type takes: of what a client uploaded, only the
    /// beginning was looked at before.
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

    /// Decides where the input is kept until it runs.
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

/// Reads a JSON object's fields. Serde alone would also take an array, by the order of the fields.
pub(crate) fn object_fields<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    if value.is_object() {
        serde_json::from_value(value).map_err(|error| error.to_string())
    } else {
        Err("it is no JSON object".to_owned())
    }
}

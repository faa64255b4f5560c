//! Uploads: a client sends a large content to the payload bucket with a signed request, then submits a task that names it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::content::{self, Kind};
use super::{InvalidInput, ObjectRef, Parameters, Payload, Size};
use crate::input::object_fields;
use crate::{TaskType, Tenant};

/// An upload's id. The server generates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = "uuid"))]
#[serde(transparent)]
pub struct UploadId(Uuid);

impl UploadId {
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The key of a tenant's upload in the payload bucket.
    #[must_use]
    pub fn key(self, tenant: &Tenant) -> String {
        format!("{tenant}/uploads/{self}")
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let id = Uuid::try_parse(text).map(Self);
        id.map_err(|_| {
            InvalidInput(
                "input.upload is not an upload id: send the id that POST /v1/uploads returned".to_owned(),
            )
        })
    }
}

/// The announcement of an upload. The signed request accepts this content only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// The media type that the client named. The content's own type is detected when a task names the upload.
    pub content_type: String,
    /// In bytes.
    pub length: u64,
    /// The SHA-256 of the content.
    pub sha256: [u8; 32],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    content_type: String,
    length: Value,
    sha256: String,
}

impl NewUpload {
    /// Checks the body of a request.
    ///
    /// # Errors
    /// [`InvalidInput`] names the field that is not valid and says what to send.
    pub fn parse(body: Value) -> Result<Self, InvalidInput> {
        let fields: Fields = object_fields(body).map_err(|why| {
            let shape = r#"send {"content_type": "image/jpeg", "length": 1234, "sha256": "64 hex digits"}"#;
            InvalidInput(format!("the body does not announce an upload: {why}; {shape}"))
        })?;
        let media_type = fields.content_type.to_ascii_lowercase();
        let (kind, _) = media_type.split_once('/').unwrap_or_default();
        let max = match kind {
            "text" => content::MAX_TEXT_BYTES,
            "image" | "audio" => content::MAX_MEDIA_BYTES,
            _ => {
                return Err(InvalidInput(
                    "content_type is not supported: send text/..., image/... or audio/..., not video or documents"
                        .to_owned(),
                ));
            }
        };
        let is_media_type =
            media_type.len() <= 100 && media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_media_type {
            return Err(InvalidInput(
                "content_type is not a media type: send a type such as image/jpeg".to_owned(),
            ));
        }
        let length = fields.length.as_u64();
        let Some(length) = length.filter(|length| (1..=max as u64).contains(length)) else {
            let given = fields.length;
            return Err(InvalidInput(format!(
                "length is {given}: send the whole number of bytes, which for {kind}/... is 1 to {max}"
            )));
        };
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&fields.sha256, &mut sha256)
            .map_err(|_| InvalidInput("sha256 must be the content's SHA-256 in 64 hex digits".to_owned()))?;
        Ok(Self {
            content_type: media_type,
            length,
            sha256,
        })
    }
}

/// An input whose content was uploaded before.
#[derive(Debug, Clone, PartialEq)]
pub struct Uploaded {
    pub id: UploadId,
    /// The input's fields other than the content.
    pub parameters: Parameters,
    pub(super) task_type: TaskType,
}

impl Uploaded {
    /// Accepts the uploaded object, of which `head` is the beginning.
    ///
    /// # Errors
    /// [`InvalidInput`] when the object is too large for the task's type, or of a type that it does not accept.
    pub fn accept(&self, mut object: ObjectRef, head: &[u8]) -> Result<(Payload, Size), InvalidInput> {
        let kind = Kind::from_task_type(self.task_type);
        let max = kind.max_bytes();
        if object.bytes > max as u64 {
            let bytes = object.bytes;
            let task_type = self.task_type;
            return Err(InvalidInput(format!(
                "input.upload has {bytes} bytes: {task_type} accepts at most {max}"
            )));
        }
        let Some(content_type) = kind.sniff(head) else {
            return Err(InvalidInput(format!("input.upload {}", kind.refusal())));
        };
        content_type.clone_into(&mut object.content_type);
        let size = content::size_of_media(kind, head, object.bytes);
        let parameters = self.parameters.to_fields();
        Ok((Payload::Object { object, parameters }, size))
    }
}

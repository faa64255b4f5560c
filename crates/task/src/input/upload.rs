//! What a client uploads itself: a large content, by a signed request to the payload bucket, which a task then names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::content::{self, Kind};
use super::{InvalidInput, ObjectRef, Parameters, Payload, Size};
use crate::input::object_fields;
use crate::{TaskType, Tenant};

/// The name of an upload. It is made here, and says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = "uuid"))]
#[serde(transparent)]
pub struct UploadId(Uuid);

impl UploadId {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Where a tenant's upload of that name lies in the payload bucket.
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
            InvalidInput("input.upload is no upload's id: send one that POST /v1/uploads answered".to_owned())
        })
    }
}

/// What is announced of an upload: only this can then be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// What the client calls it. The content itself is sniffed when a task names it.
    pub content_type: String,
    /// Its length in bytes.
    pub length: u64,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    content_type: String,
    length: u64,
    sha256: String,
}

impl NewUpload {
    /// Checks a request's body.
    ///
    /// # Errors
    /// [`InvalidInput`] names the field that is at fault and says what to send.
    pub fn parse(body: Value) -> Result<Self, InvalidInput> {
        let fields: Fields = object_fields(body).map_err(|why| {
            let shape = r#"send {"content_type": "image/jpeg", "length": 1234, "sha256": "64 hex digits"}"#;
            InvalidInput(format!("the body announces no upload: {why}; {shape}"))
        })?;
        let media_type = fields.content_type.to_ascii_lowercase();
        let (kind, _) = media_type.split_once('/').unwrap_or_default();
        let most = match kind {
            "text" => content::MAX_TEXT_BYTES,
            "image" | "audio" => content::MAX_MEDIA_BYTES,
            _ => {
                return Err(InvalidInput(
                    "content_type must be one of text/..., image/... or audio/...: video and documents are not taken"
                        .to_owned(),
                ));
            }
        };
        let is_sound =
            media_type.len() <= 100 && media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_sound {
            return Err(InvalidInput(
                "content_type is no media type: send image/jpeg, say".to_owned(),
            ));
        }
        if !(1..=most as u64).contains(&fields.length) {
            let length = fields.length;
            return Err(InvalidInput(format!(
                "length is {length} bytes: {kind} may have 1 to {most}"
            )));
        }
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&fields.sha256, &mut sha256)
            .map_err(|_| InvalidInput("sha256 must be the content's SHA-256 in 64 hex digits".to_owned()))?;
        Ok(Self {
            content_type: media_type,
            length: fields.length,
            sha256,
        })
    }
}

/// An input whose content was uploaded before.
#[derive(Debug, Clone, PartialEq)]
pub struct Uploaded {
    /// The upload.
    pub id: UploadId,
    /// What is asked of it.
    pub parameters: Parameters,
    pub(super) task_type: TaskType,
}

impl Uploaded {
    /// Takes the object that was uploaded, of which `head` is the beginning.
    ///
    /// # Errors
    /// [`InvalidInput`] when it is too large for its type, or nothing of the kind that it takes.
    pub fn accept(&self, mut object: ObjectRef, head: &[u8]) -> Result<(Payload, Size), InvalidInput> {
        let kind = Kind::of(self.task_type);
        let most = kind.max_bytes();
        if object.bytes > most as u64 {
            let bytes = object.bytes;
            let task_type = self.task_type;
            return Err(InvalidInput(format!(
                "input.upload has {bytes} bytes: {task_type} takes at most {most}"
            )));
        }
        let Some(content_type) = kind.sniff(head) else {
            return Err(InvalidInput(format!("input.upload {}", kind.taken())));
        };
        content_type.clone_into(&mut object.content_type);
        let size = content::size_of_media(kind, head, object.bytes);
        let parameters = self.parameters.to_fields();
        Ok((Payload::Object { object, parameters }, size))
    }
}

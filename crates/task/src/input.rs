//! What each task type takes, checked, and how it is kept until a worker runs it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use imagesize::ImageType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::TaskType;

/// The longest text, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 1_000_000;

/// Up to this many bytes of JSON an input rides inside the task's item: there its three writes cost what one object
/// in the bucket would.
pub const MAX_INLINE_INPUT_BYTES: usize = 4_096;

/// Takes the standard alphabet with or without padding: clients disagree about it, and nothing is lost either way.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A task's input, checked and ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// For [`TaskType::Sentiment`].
    Sentiment {
        /// Not blank, at most [`MAX_TEXT_BYTES`].
        text: String,
    },
    /// For [`TaskType::FaceDetection`].
    FaceDetection {
        /// The file's bytes, which begin like an image of a type that is taken; nothing else is known of them.
        image: Vec<u8>,
    },
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
    },
}

/// Where a task's input is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// In the item itself.
    Inline(Value),
    /// In the payload bucket.
    Object(ObjectRef),
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextFields {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageFields {
    image: String,
}

impl Input {
    /// Checks the `input` member of a submission.
    ///
    /// # Errors
    /// [`InvalidInput`] when a field is missing, unknown, of the wrong type, empty, too large or no image.
    pub fn parse(task_type: TaskType, input: Value) -> Result<Self, InvalidInput> {
        match task_type {
            TaskType::Sentiment => Self::sentiment(fields::<TextFields>(input, r#"{"text": "..."}"#)?.text),
            TaskType::FaceDetection => {
                let shape = r#"{"image": "base64 or data URL"}"#;
                let image = decode_image(&fields::<ImageFields>(input, shape)?.image)?;
                Ok(Self::FaceDetection { image })
            }
        }
    }

    /// The same from an object's body, as [`Input::into_stored`] made it.
    ///
    /// # Errors
    /// [`InvalidInput`] when the body is not what that type's input is stored as.
    pub fn from_object(task_type: TaskType, body: Vec<u8>) -> Result<Self, InvalidInput> {
        match task_type {
            TaskType::Sentiment => {
                let text = String::from_utf8(body)
                    .map_err(|_| InvalidInput("the stored text is not UTF-8".to_owned()))?;
                Self::sentiment(text)
            }
            TaskType::FaceDetection => Ok(Self::FaceDetection { image: body }),
        }
    }

    fn sentiment(text: String) -> Result<Self, InvalidInput> {
        if text.trim().is_empty() {
            return Err(InvalidInput(
                "input.text is empty: send at least one word".to_owned(),
            ));
        }
        if text.len() > MAX_TEXT_BYTES {
            let size = text.len();
            return Err(InvalidInput(format!(
                "input.text has {size} bytes: send at most {MAX_TEXT_BYTES}, or split it into several tasks"
            )));
        }
        Ok(Self::Sentiment { text })
    }

    /// Decides where the input is kept until it runs.
    #[must_use]
    pub fn into_stored(self) -> StoredInput {
        match self {
            Self::Sentiment { text } => {
                let inline = serde_json::json!({ "text": text });
                if inline.to_string().len() <= MAX_INLINE_INPUT_BYTES {
                    StoredInput::Inline(inline)
                } else {
                    StoredInput::Object {
                        body: text.into_bytes(),
                        content_type: "text/plain; charset=utf-8",
                    }
                }
            }
            Self::FaceDetection { image } => {
                let content_type = image_media_type(&image).unwrap_or("application/octet-stream");
                StoredInput::Object {
                    body: image,
                    content_type,
                }
            }
        }
    }
}

fn fields<T: DeserializeOwned>(input: Value, shape: &str) -> Result<T, InvalidInput> {
    object_fields(input).map_err(|why| InvalidInput(format!("input: {why}; send {shape}")))
}

/// Reads a JSON object's fields. Serde alone would also take an array, by the order of the fields.
pub(crate) fn object_fields<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    if value.is_object() {
        serde_json::from_value(value).map_err(|error| error.to_string())
    } else {
        Err("it is no JSON object".to_owned())
    }
}

/// Reads base64, bare or as a data URL. The media type that a data URL claims is not believed.
fn decode_image(text: &str) -> Result<Vec<u8>, InvalidInput> {
    let refuse = |why: &str| Err(InvalidInput(format!("input.image {why}")));
    let encoded = match text.strip_prefix("data:") {
        None if text.starts_with("http://") || text.starts_with("https://") => {
            return refuse(
                "is an address, and nothing is fetched on a client's behalf: send the image itself as base64",
            );
        }
        None => text,
        Some(url) => match url.split_once(";base64,") {
            Some((_, encoded)) => encoded,
            None => return refuse("is a data URL without base64: send data:image/...;base64,..."),
        },
    };
    if encoded.is_empty() {
        return refuse("is empty: send the image's bytes as base64");
    }
    let Ok(image) = BASE64.decode(encoded) else {
        return refuse("is not base64: send the image's bytes in the standard alphabet, without line breaks");
    };
    if image_media_type(&image).is_none() {
        return refuse("is not an image of a known type: send JPEG, PNG, WebP, GIF or BMP");
    }
    Ok(image)
}

/// The media type by the first bytes, of the types that are taken.
fn image_media_type(image: &[u8]) -> Option<&'static str> {
    match imagesize::image_type(image).ok()? {
        ImageType::Jpeg => Some("image/jpeg"),
        ImageType::Png => Some("image/png"),
        ImageType::Webp => Some("image/webp"),
        ImageType::Gif => Some("image/gif"),
        ImageType::Bmp => Some("image/bmp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x00\x00\x00";

    fn refusal(task_type: TaskType, input: Value) -> String {
        Input::parse(task_type, input).unwrap_err().to_string()
    }

    #[test]
    fn every_bad_text_is_refused_with_what_to_do() {
        for input in [json!({ "text": "" }), json!({ "text": " \n" })] {
            assert!(refusal(TaskType::Sentiment, input).contains("at least one word"));
        }
        for input in [
            json!(null),
            json!({}),
            json!({ "text": 7 }),
            json!({ "text": "a", "txt": "b" }),
            json!("a"),
            json!(["a"]),
        ] {
            assert!(refusal(TaskType::Sentiment, input).contains(r#"send {"text": "..."}"#));
        }
        assert!(
            refusal(
                TaskType::Sentiment,
                json!({ "text": "x".repeat(MAX_TEXT_BYTES + 1) })
            )
            .contains("split it")
        );
    }

    #[test]
    fn every_bad_image_is_refused_with_what_to_do() {
        let refusal = |image: &str| refusal(TaskType::FaceDetection, json!({ "image": image }));
        assert!(refusal("").contains("is empty"));
        assert!(refusal("data:image/png;base64,").contains("is empty"));
        assert!(refusal("data:image/png,abc").contains("without base64"));
        assert!(refusal("not base64!").contains("not base64"));
        assert!(refusal("aGVsbG8gd29ybGQ=").contains("JPEG, PNG, WebP, GIF or BMP"));
        assert!(refusal("https://example.com/cat.png").contains("nothing is fetched"));
        assert!(refusal("file:///etc/passwd").contains("not base64"));
    }

    #[test]
    fn an_image_comes_bare_or_as_a_data_url_with_or_without_padding() {
        let padded = BASE64.encode(GIF);
        for image in [
            padded.clone(),
            padded.replace('=', ""),
            format!("data:image/jpeg;base64,{padded}"),
        ] {
            let input = Input::parse(TaskType::FaceDetection, json!({ "image": image })).unwrap();
            assert_eq!(input, Input::FaceDetection { image: GIF.to_vec() });
            let StoredInput::Object { content_type, .. } = input.into_stored() else {
                panic!("an image is an object")
            };
            assert_eq!(content_type, "image/gif", "the type is sniffed, not believed");
        }
    }

    #[test]
    fn a_small_text_rides_inside_the_item_and_a_large_one_does_not() {
        let small = Input::Sentiment {
            text: "good".to_owned(),
        };
        assert_eq!(
            small.into_stored(),
            StoredInput::Inline(json!({ "text": "good" }))
        );
        let large = Input::Sentiment {
            text: "good ".repeat(1_000),
        };
        let StoredInput::Object { body, .. } = large.clone().into_stored() else {
            panic!("5 KB do not ride inside")
        };
        assert_eq!(Input::from_object(TaskType::Sentiment, body).unwrap(), large);
    }
}

//! The content of an input: texts, an image or a recording. The type of a file is detected from its bytes; what a client
//! says about it is ignored.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};

use super::{InvalidInput, UploadId, image};
use crate::{TaskType, is_blank};

/// The longest text, in bytes of UTF-8. The texts of one task share it.
pub const MAX_TEXT_BYTES: usize = 1_000_000;
/// The highest number of texts in one `embed` task.
pub const MAX_TEXTS: usize = 64;
/// The largest image or recording, in bytes.
pub const MAX_MEDIA_BYTES: usize = 50_000_000;

/// A text with more words is large: a worker takes noticeably longer than for most.
const LARGE_WORDS: usize = 200;
/// A text with more bytes is large, however few words its blanks make of it: 3,300 Chinese characters.
const LARGE_TEXT_BYTES: u64 = 10_000;
/// An image with a longer side is large, in pixels.
const LARGE_SIDE: u32 = 1_000;
/// A file with more bytes is large, whatever its sides: a worker has the files of a whole batch in memory, and ten of 50 MB
/// would be half a gigabyte. The length of a recording is known only once it is decoded; this is half a minute of speech,
/// uncompressed at 16 kHz.
const LARGE_BYTES: u64 = 1_000_000;

/// The standard alphabet, with or without padding: encoders differ, and both forms are unambiguous.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// The media type of an object that contains several texts as an array.
const JSON: &str = "application/json";

/// The content of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Not blank ([`is_blank`]), at most [`MAX_TEXT_BYTES`] long.
    Text(String),
    /// 1 to [`MAX_TEXTS`] texts that are not blank, at most [`MAX_TEXT_BYTES`] together.
    Texts(Vec<String>),
    /// The bytes of a file. Its beginning is that of a supported image type; the rest is unchecked.
    Image(Vec<u8>),
    /// The bytes of a file. Its beginning is that of a supported recording type; the rest is unchecked.
    Audio(Vec<u8>),
}

/// How much work a task is, estimated from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Everything that is not large.
    Small,
    /// A text of more than 200 words or 10,000 bytes, an image with a side of more than 1,000 pixels, or any file of more than a
    /// megabyte.
    Large,
}

impl Size {
    fn large_if(is_large: bool) -> Self {
        if is_large { Self::Large } else { Self::Small }
    }
}

/// The kind of content that a task type accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Texts,
    Image,
    Audio,
}

impl Kind {
    pub(crate) const fn from_task_type(task_type: TaskType) -> Self {
        match task_type {
            TaskType::Sentiment
            | TaskType::Classify
            | TaskType::Summarize
            | TaskType::Translate
            | TaskType::DataExtraction => Self::Text,
            TaskType::Embed => Self::Texts,
            TaskType::FaceDetection | TaskType::Ocr => Self::Image,
            TaskType::Transcribe => Self::Audio,
        }
    }

    /// The fields that can contain the content. An input has one of them.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["text", "upload"],
            Self::Texts => &["texts", "text", "upload"],
            Self::Image => &["image", "upload"],
            Self::Audio => &["audio", "upload"],
        }
    }

    /// The largest content, in bytes.
    pub(crate) const fn max_bytes(self) -> usize {
        match self {
            Self::Text | Self::Texts => MAX_TEXT_BYTES,
            Self::Image | Self::Audio => MAX_MEDIA_BYTES,
        }
    }

    /// The media type that the first bytes show; `None` if the type is not supported.
    pub(crate) fn sniff(self, head: &[u8]) -> Option<&'static str> {
        match self {
            Self::Text | Self::Texts => Some(PLAIN_TEXT),
            Self::Image => image::media_type(head),
            Self::Audio => audio_media_type(head),
        }
    }

    /// The end of a sentence that refuses another kind of content.
    pub(crate) const fn refusal(self) -> &'static str {
        match self {
            Self::Text | Self::Texts => "is not a text: send UTF-8",
            Self::Image => "is not an image of a known type: send JPEG, PNG, WebP, GIF or BMP",
            Self::Audio => "is not a recording of a known type: send WAV, FLAC, MP3 or OGG",
        }
    }
}

/// The content of a submission, or the upload that contains it.
#[derive(Debug, PartialEq)]
pub(super) enum Given {
    Content(Content),
    Upload(UploadId),
}

/// Removes the content from an input's fields.
pub(super) fn take(task_type: TaskType, fields: &mut Map<String, Value>) -> Result<Given, InvalidInput> {
    let kind = Kind::from_task_type(task_type);
    let mut found = kind
        .fields()
        .iter()
        .filter_map(|&name| fields.remove(name).map(|value| (name, value)));
    let Some((name, value)) = found.next() else {
        let missing = kind.fields().join("` or `");
        return Err(InvalidInput::new_with_shape(
            task_type,
            &format!("missing field `{missing}`"),
        ));
    };
    if let Some((other, _)) = found.next() {
        return Err(InvalidInput(format!(
            "input.{name} and input.{other} exclude each other: send one"
        )));
    }
    let wrong_type = || InvalidInput::new_with_shape(task_type, &format!("`{name}` has the wrong type"));
    if name == "texts" {
        let texts: Vec<String> = serde_json::from_value(value).map_err(|_| wrong_type())?;
        return Content::texts(texts).map(Given::Content);
    }
    let Value::String(value) = value else {
        return Err(wrong_type());
    };
    match (name, kind) {
        ("upload", _) => value.parse().map(Given::Upload),
        (_, Kind::Text) => Content::text(value).map(Given::Content),
        (_, Kind::Texts) => Content::texts(vec![value]).map(Given::Content),
        (_, Kind::Image) => decode(name, &value, kind).map(|bytes| Given::Content(Content::Image(bytes))),
        (_, Kind::Audio) => decode(name, &value, kind).map(|bytes| Given::Content(Content::Audio(bytes))),
    }
}

impl Content {
    fn text(text: String) -> Result<Self, InvalidInput> {
        check_text("input.text", &text)?;
        Ok(Self::Text(text))
    }

    fn texts(texts: Vec<String>) -> Result<Self, InvalidInput> {
        let count = texts.len();
        if !(1..=MAX_TEXTS).contains(&count) {
            return Err(InvalidInput(format!(
                "input.texts has {count} texts: send 1 to {MAX_TEXTS}"
            )));
        }
        for (index, text) in texts.iter().enumerate() {
            check_text(&format!("input.texts[{index}]"), text)?;
        }
        let bytes: usize = texts.iter().map(String::len).sum();
        if bytes > MAX_TEXT_BYTES {
            return Err(InvalidInput(format!(
                "input.texts has {bytes} bytes: send at most {MAX_TEXT_BYTES} together, or split it into several tasks"
            )));
        }
        Ok(Self::Texts(texts))
    }

    /// Reads a content from an object's body, which [`Content::into_object`] made or a client uploaded.
    pub(super) fn from_object(
        task_type: TaskType,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Self, InvalidInput> {
        let text = |body| {
            String::from_utf8(body).map_err(|error| {
                InvalidInput(format!(
                    "the text is not UTF-8, {}: convert it and submit it again",
                    error.utf8_error()
                ))
            })
        };
        match Kind::from_task_type(task_type) {
            Kind::Text => Self::text(text(body)?),
            Kind::Texts if content_type == JSON => {
                let texts = serde_json::from_slice(&body);
                Self::texts(texts.map_err(|error| {
                    InvalidInput(format!(
                        "the texts are not a JSON array, {error}: submit the task again"
                    ))
                })?)
            }
            Kind::Texts => Self::texts(vec![text(body)?]),
            Kind::Image => Ok(Self::Image(body)),
            Kind::Audio => Ok(Self::Audio(body)),
        }
    }

    /// The body and the media type of the content's object.
    pub(super) fn into_object(self) -> (Vec<u8>, &'static str) {
        let with_media_type = |kind: Kind, bytes: Vec<u8>| {
            let media_type = kind.sniff(&bytes).unwrap_or("application/octet-stream");
            (bytes, media_type)
        };
        match self {
            Self::Text(text) => (text.into_bytes(), PLAIN_TEXT),
            Self::Texts(texts) => (json!(texts).to_string().into_bytes(), JSON),
            Self::Image(bytes) => with_media_type(Kind::Image, bytes),
            Self::Audio(bytes) => with_media_type(Kind::Audio, bytes),
        }
    }

    /// The content as a field of the item; `None` for files, which are always objects.
    pub(super) fn to_field(&self) -> Option<(&'static str, Value)> {
        match self {
            Self::Text(text) => Some(("text", json!(text))),
            Self::Texts(texts) => Some(("texts", json!(texts))),
            Self::Image(_) | Self::Audio(_) => None,
        }
    }

    /// How much work the content is. It decides the lane of the task.
    #[must_use]
    pub fn size(&self) -> Size {
        match self {
            Self::Text(text) => size_of_texts([&**text], text.len() as u64),
            Self::Texts(texts) => {
                let bytes = texts.iter().map(String::len).sum::<usize>();
                size_of_texts(texts.iter().map(String::as_str), bytes as u64)
            }
            Self::Image(bytes) => size_of_media(Kind::Image, bytes, bytes.len() as u64),
            Self::Audio(bytes) => size_of_media(Kind::Audio, bytes, bytes.len() as u64),
        }
    }
}

/// Some languages have no blanks between words, so the bytes count too.
fn size_of_texts<'a>(texts: impl IntoIterator<Item = &'a str>, bytes: u64) -> Size {
    let are_many_words = || texts.into_iter().map(words).sum::<usize>() > LARGE_WORDS;
    Size::large_if(bytes > LARGE_TEXT_BYTES || are_many_words())
}

/// Counts no further than a large text requires.
fn words(text: &str) -> usize {
    text.split_whitespace().take(LARGE_WORDS + 1).count()
}

/// How much work a content is, from its first bytes and its length.
pub(super) fn size_of_media(kind: Kind, head: &[u8], bytes: u64) -> Size {
    if matches!(kind, Kind::Text | Kind::Texts) {
        return size_of_texts([&*String::from_utf8_lossy(head)], bytes);
    }
    // Sides that the first bytes do not show may be long.
    let may_have_long_side =
        kind == Kind::Image && image::longest_side(head).is_none_or(|side| side > LARGE_SIDE);
    Size::large_if(may_have_long_side || bytes > LARGE_BYTES)
}

fn check_text(name: &str, text: &str) -> Result<(), InvalidInput> {
    if is_blank(text) {
        return Err(InvalidInput(format!("{name} is empty: send at least one word")));
    }
    if text.len() > MAX_TEXT_BYTES {
        let size = text.len();
        return Err(InvalidInput(format!(
            "{name} has {size} bytes: send at most {MAX_TEXT_BYTES}, or split it into several tasks"
        )));
    }
    Ok(())
}

/// Decodes base64, bare or in a data URL. The media type in a data URL is ignored.
fn decode(name: &str, text: &str, kind: Kind) -> Result<Vec<u8>, InvalidInput> {
    let refuse = |why: &str| Err(InvalidInput(format!("input.{name} {why}")));
    let text = text.trim_ascii();
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let is_scheme = |name: &str| scheme.eq_ignore_ascii_case(name);
    let encoded = if is_scheme("data") {
        match rest.split_once(',') {
            Some((media_type, encoded)) if ends_with_base64(media_type) => encoded,
            _ => return refuse("is a data URL without base64: send data:TYPE;base64,..."),
        }
    } else if is_scheme("http") || is_scheme("https") {
        return refuse(
            "is a URL, and URLs are not fetched: send the bytes as base64, or upload them with POST /v1/uploads",
        );
    } else {
        text
    };
    // Most clients send the plain form, which needs no copy.
    let decoded = BASE64.decode(encoded).ok();
    let is_url = is_scheme("data");
    let Some(bytes) = decoded.or_else(|| BASE64.decode(plain_base64(encoded, is_url)?).ok()) else {
        return refuse("is not base64: send the bytes in the alphabet of RFC 4648");
    };
    if bytes.is_empty() {
        return refuse("is empty: send the bytes as base64");
    }
    if kind.sniff(&bytes).is_none() {
        return refuse(kind.refusal());
    }
    Ok(bytes)
}

/// Whether the part of a data URL before the comma says that base64 follows. Letters may have either case, and blanks may
/// stand before the word (WHATWG Fetch, "data: URL processor").
fn ends_with_base64(media_type: &str) -> bool {
    let last = media_type.rsplit_once(';').map(|(_, last)| last.trim_ascii());
    last.is_some_and(|last| last.eq_ignore_ascii_case("base64"))
}

/// Base64 in the standard alphabet, from what other encoders write: with line breaks, in the alphabet for URLs, or, inside
/// a URL, percent-encoded. `None` if a percent sign is not followed by two digits.
fn plain_base64(encoded: &str, is_url: bool) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' && is_url {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        };
        match byte {
            b'-' => plain.push(b'+'),
            b'_' => plain.push(b'/'),
            byte if byte.is_ascii_whitespace() => {}
            byte => plain.push(byte),
        }
    }
    Some(plain)
}

/// The media type of a supported recording, from its first bytes. MP3 has no magic number: a frame begins with eleven bits set
/// and a layer that exists (ISO/IEC 11172-3, 2.4.1.3), and a tagged file begins with "ID3".
fn audio_media_type(audio: &[u8]) -> Option<&'static str> {
    match audio {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some("audio/wav"),
        [b'f', b'L', b'a', b'C', ..] => Some("audio/flac"),
        [b'O', b'g', b'g', b'S', ..] => Some("audio/ogg"),
        [b'I', b'D', b'3', ..] => Some("audio/mpeg"),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => Some("audio/mpeg"),
        _ => None,
    }
}

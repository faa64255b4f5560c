//! What a task is asked of: texts, or the bytes of a picture or a recording, whose kind is sniffed and never believed.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use imagesize::ImageType;
use serde_json::{Map, Value, json};

use super::{InvalidInput, UploadId};
use crate::TaskType;

/// The longest text, in bytes of UTF-8; several texts of one task share it.
pub const MAX_TEXT_BYTES: usize = 1_000_000;
/// How many texts one task may embed.
pub const MAX_TEXTS: usize = 64;
/// The largest picture or recording, in bytes.
pub const MAX_MEDIA_BYTES: usize = 50_000_000;

/// A text of more words is large: it takes a worker noticeably longer than most.
const LARGE_WORDS: usize = 200;
/// So is a picture with a longer side, in pixels.
const LARGE_SIDE: usize = 1_000;
/// And what can't be told from its beginning, when it has more bytes. A recording's length is only known once decoded:
/// this is half a minute of speech, uncompressed at 16 kHz.
const LARGE_BYTES: u64 = 1_000_000;

/// Takes the standard alphabet with or without padding: clients disagree about it, and nothing is lost either way.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// Of several texts, which one object holds as an array.
const JSON: &str = "application/json";

/// What a task's parameters are asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Not blank, at most [`MAX_TEXT_BYTES`].
    Text(String),
    /// 1 to [`MAX_TEXTS`] such texts, at most [`MAX_TEXT_BYTES`] together.
    Texts(Vec<String>),
    /// The file's bytes, which begin like an image of a type that is taken; nothing else is known of them.
    Image(Vec<u8>),
    /// The file's bytes, which begin like a recording of a type that is taken; nothing else is known of them.
    Audio(Vec<u8>),
}

/// How much work a task is, as far as its content tells without being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// As most are.
    Small,
    /// A text of over 200 words, a picture of over 1,000 pixels a side, a recording of over a megabyte.
    Large,
}

impl Size {
    fn large_if(is_large: bool) -> Self {
        if is_large { Self::Large } else { Self::Small }
    }
}

/// Which kind of content a type is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Texts,
    Image,
    Audio,
}

impl Kind {
    pub(crate) const fn of(task_type: TaskType) -> Self {
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

    /// The fields that can hold it, one at a time.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["text", "upload"],
            Self::Texts => &["texts", "text", "upload"],
            Self::Image => &["image", "upload"],
            Self::Audio => &["audio", "upload"],
        }
    }

    /// The most bytes it may have.
    pub(crate) const fn max_bytes(self) -> usize {
        match self {
            Self::Text | Self::Texts => MAX_TEXT_BYTES,
            Self::Image | Self::Audio => MAX_MEDIA_BYTES,
        }
    }

    /// The media type of such content by its first bytes, if it is of a type that is taken.
    pub(crate) fn sniff(self, head: &[u8]) -> Option<&'static str> {
        match self {
            Self::Text | Self::Texts => Some(PLAIN_TEXT),
            Self::Image => image_media_type(head),
            Self::Audio => audio_media_type(head),
        }
    }

    /// What is taken, for whoever sent something else.
    pub(crate) const fn taken(self) -> &'static str {
        match self {
            Self::Text | Self::Texts => "is no text: send UTF-8",
            Self::Image => "is not an image of a known type: send JPEG, PNG, WebP, GIF or BMP",
            Self::Audio => "is not a recording of a known type: send WAV, FLAC, MP3 or OGG",
        }
    }
}

/// A content as it was submitted: itself, or the name of the upload that holds it.
#[derive(Debug, PartialEq)]
pub(super) enum Given {
    Content(Content),
    Upload(UploadId),
}

/// Takes the content out of an input's fields.
pub(super) fn take(task_type: TaskType, fields: &mut Map<String, Value>) -> Result<Given, InvalidInput> {
    let kind = Kind::of(task_type);
    let mut found = kind
        .fields()
        .iter()
        .filter_map(|&name| fields.remove(name).map(|value| (name, value)));
    let Some((name, value)) = found.next() else {
        let missing = kind.fields().join("` or `");
        return Err(InvalidInput::shaped(
            task_type,
            &format!("missing field `{missing}`"),
        ));
    };
    if let Some((other, _)) = found.next() {
        return Err(InvalidInput(format!(
            "input.{name} and input.{other} exclude each other: send one"
        )));
    }
    let no_text = || InvalidInput::shaped(task_type, &format!("`{name}` is of the wrong type"));
    if name == "texts" {
        let texts: Vec<String> = serde_json::from_value(value).map_err(|_| no_text())?;
        return Content::texts(texts).map(Given::Content);
    }
    let Value::String(value) = value else {
        return Err(no_text());
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
        for (place, text) in texts.iter().enumerate() {
            check_text(&format!("input.texts[{place}]"), text)?;
        }
        let bytes: usize = texts.iter().map(String::len).sum();
        if bytes > MAX_TEXT_BYTES {
            return Err(InvalidInput(format!(
                "input.texts has {bytes} bytes: send at most {MAX_TEXT_BYTES} together, or split it into several tasks"
            )));
        }
        Ok(Self::Texts(texts))
    }

    /// The same from an object's body: as [`Content::into_object`] made it, or as a client uploaded it.
    pub(super) fn from_object(
        task_type: TaskType,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Self, InvalidInput> {
        let text = |body| {
            String::from_utf8(body)
                .map_err(|error| InvalidInput(format!("the text is not UTF-8: {}", error.utf8_error())))
        };
        match Kind::of(task_type) {
            Kind::Text => Self::text(text(body)?),
            Kind::Texts if content_type == JSON => {
                let texts = serde_json::from_slice(&body);
                Self::texts(texts.map_err(|error| InvalidInput(format!("the texts are not JSON: {error}")))?)
            }
            Kind::Texts => Self::texts(vec![text(body)?]),
            Kind::Image => Ok(Self::Image(body)),
            Kind::Audio => Ok(Self::Audio(body)),
        }
    }

    /// The body and the media type under which it is kept as an object.
    pub(super) fn into_object(self) -> (Vec<u8>, &'static str) {
        let sniffed = |kind: Kind, bytes: Vec<u8>| {
            let media_type = kind.sniff(&bytes).unwrap_or("application/octet-stream");
            (bytes, media_type)
        };
        match self {
            Self::Text(text) => (text.into_bytes(), PLAIN_TEXT),
            Self::Texts(texts) => (json!(texts).to_string().into_bytes(), JSON),
            Self::Image(bytes) => sniffed(Kind::Image, bytes),
            Self::Audio(bytes) => sniffed(Kind::Audio, bytes),
        }
    }

    /// The field that can hold it inside a task's item, unless it is always an object.
    pub(super) fn to_field(&self) -> Option<(&'static str, Value)> {
        match self {
            Self::Text(text) => Some(("text", json!(text))),
            Self::Texts(texts) => Some(("texts", json!(texts))),
            Self::Image(_) | Self::Audio(_) => None,
        }
    }

    /// How much work it is.
    #[must_use]
    pub fn size(&self) -> Size {
        match self {
            Self::Text(text) => size_of_text(text),
            Self::Texts(texts) => {
                Size::large_if(texts.iter().map(|text| words(text)).sum::<usize>() > LARGE_WORDS)
            }
            Self::Image(bytes) => size_of_media(Kind::Image, bytes, bytes.len() as u64),
            Self::Audio(bytes) => size_of_media(Kind::Audio, bytes, bytes.len() as u64),
        }
    }
}

fn size_of_text(text: &str) -> Size {
    Size::large_if(words(text) > LARGE_WORDS)
}

/// No more are counted than are needed to call a text large.
fn words(text: &str) -> usize {
    text.split_whitespace().take(LARGE_WORDS + 1).count()
}

/// How much work a content of so many bytes is that begins so.
pub(super) fn size_of_media(kind: Kind, head: &[u8], bytes: u64) -> Size {
    match (kind, imagesize::blob_size(head)) {
        (Kind::Text | Kind::Texts, _) => size_of_text(&String::from_utf8_lossy(head)),
        (Kind::Image, Ok(sides)) => Size::large_if(sides.width.max(sides.height) > LARGE_SIDE),
        (Kind::Image | Kind::Audio, _) => Size::large_if(bytes > LARGE_BYTES),
    }
}

fn check_text(name: &str, text: &str) -> Result<(), InvalidInput> {
    if text.trim().is_empty() {
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

/// Reads base64, bare or as a data URL. The media type that a data URL claims is not believed.
fn decode(name: &str, text: &str, kind: Kind) -> Result<Vec<u8>, InvalidInput> {
    let refuse = |why: &str| Err(InvalidInput(format!("input.{name} {why}")));
    let encoded = match text.strip_prefix("data:") {
        None if text.starts_with("http://") || text.starts_with("https://") => {
            return refuse(
                "is an address, and nothing is fetched on a client's behalf: send the bytes themselves as base64, or \
                 upload them by POST /v1/uploads",
            );
        }
        None => text,
        Some(url) => match url.split_once(";base64,") {
            Some((_, encoded)) => encoded,
            None => return refuse("is a data URL without base64: send data:TYPE;base64,..."),
        },
    };
    if encoded.is_empty() {
        return refuse("is empty: send the bytes as base64");
    }
    let Ok(bytes) = BASE64.decode(encoded) else {
        return refuse("is not base64: send the bytes in the standard alphabet, without line breaks");
    };
    if kind.sniff(&bytes).is_none() {
        return refuse(kind.taken());
    }
    Ok(bytes)
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

/// The same for recordings. MP3 has no magic number: a frame begins with eleven bits set and a layer that exists
/// (ISO/IEC 11172-3, 2.4.1.3), a tagged file with "ID3".
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

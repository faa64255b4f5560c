//! Task types, and the workers that run them.

use serde::{Deserialize, Serialize};
use strum::EnumCount;

use crate::variants;

/// What a task computes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(
    serialize_all = "snake_case",
    parse_err_ty = UnknownTaskType,
    parse_err_fn = UnknownTaskType::new
)]
pub enum TaskType {
    /// Whether a text is positive or negative.
    Sentiment,
    /// Which of several labels fits a text.
    Classify,
    /// One vector for each text. Texts of similar meaning have similar vectors.
    Embed,
    /// A text's most important sentences.
    Summarize,
    /// A text in another language.
    Translate,
    /// The values that a text gives for the fields of a schema.
    DataExtraction,
    /// The faces in an image.
    FaceDetection,
    /// The lines of text in an image.
    Ocr,
    /// The speech in a recording.
    Transcribe,
}

/// Which worker runs a task. Each has its own queues.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WorkerKind {
    /// Texts, by bundled models.
    Text,
    /// Images, by bundled models.
    Image,
    /// Recordings, by a bundled model.
    Audio,
    /// Texts, by a provider's language model.
    Language,
}

impl WorkerKind {
    /// Every kind. It is an array, so that callers can hold one value for each kind.
    pub const ALL: [Self; Self::COUNT] = variants::array();

    /// The name in the table, in settings and in statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl TaskType {
    /// Every type, in the order of the documentation. It is an array, so that callers can hold one value for each type.
    pub const ALL: [Self; Self::COUNT] = variants::array();

    /// The name in the table and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The worker that runs the type, unless a task's parameters choose another engine.
    #[must_use]
    pub const fn default_worker(self) -> WorkerKind {
        match self {
            Self::Sentiment | Self::Classify | Self::Embed | Self::Summarize => WorkerKind::Text,
            Self::Translate | Self::DataExtraction => WorkerKind::Language,
            Self::FaceDetection | Self::Ocr => WorkerKind::Image,
            Self::Transcribe => WorkerKind::Audio,
        }
    }

    /// The shape of an input of this type, for the message that refuses another.
    pub(crate) const fn input_shape(self) -> &'static str {
        match self {
            Self::Sentiment => r#"{"text": "..."}"#,
            Self::Classify => {
                r#"{"text": "..."}, optionally with "labels": ["...", "..."], "multi_label": true, "engine": "llm""#
            }
            Self::Embed => r#"{"text": "..."} or {"texts": ["...", "..."]}"#,
            Self::Summarize => {
                r#"{"text": "..."}, optionally with "max_sentences": 3 or "ratio": 0.2, and "engine": "llm""#
            }
            Self::Translate => r#"{"text": "...", "target_language": "de"}"#,
            Self::DataExtraction => r#"{"text": "...", "schema": {...}}"#,
            Self::FaceDetection | Self::Ocr => r#"{"image": "base64 or data URL"}"#,
            Self::Transcribe => r#"{"audio": "base64 or data URL"}"#,
        }
    }
}

/// A name that is not a task type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown task type `{}`: expected one of {}",
    .0.escape_debug(),
    TaskType::ALL.map(TaskType::as_str).join(", ")
)]
pub struct UnknownTaskType(String);

impl UnknownTaskType {
    /// The longest part of the name that the message quotes, in bytes.
    const MAX_QUOTED_BYTES: usize = 40;

    fn new(name: &str) -> Self {
        Self(name[..name.floor_char_boundary(Self::MAX_QUOTED_BYTES)].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_on_the_wire_is_the_name_in_code() {
        for task_type in TaskType::ALL {
            assert_eq!(serde_json::to_value(task_type).unwrap(), task_type.as_str());
            assert_eq!(task_type.as_str().parse(), Ok(task_type));
        }
        for kind in WorkerKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn an_unknown_type_is_quoted_beside_the_known_ones() {
        let error = "telepathy".parse::<TaskType>().unwrap_err();
        assert_eq!(error, UnknownTaskType("telepathy".to_owned()));
        let message = error.to_string();
        assert!(
            message.starts_with("unknown task type `telepathy`: expected one of sentiment, classify, "),
            "{message}"
        );
        let long = "é".repeat(1_000).parse::<TaskType>().unwrap_err();
        assert_eq!(long, UnknownTaskType("é".repeat(20)));
    }
}

//! What may be asked for, and who answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskType {
    /// Does the text speak well or ill of its subject?
    Sentiment,
    /// Which of these labels fits the text?
    Classify,
    /// Where does the text lie among others, by its meaning?
    Embed,
    /// What does the text say, in few sentences?
    Summarize,
    /// What does the text say, in another language?
    Translate,
    /// What does the text say of each field of a schema?
    DataExtraction,
    /// Where are the faces on the picture?
    FaceDetection,
    /// What is written on the picture?
    Ocr,
    /// What is said in the recording?
    Transcribe,
}

/// Which worker runs a task, and so which queue it travels through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerKind {
    /// The text worker's: texts, by models that it carries.
    Text,
    /// The image worker's.
    Image,
    /// The audio worker's.
    Audio,
    /// The language worker's: texts, by a language model that a provider runs.
    Language,
}

impl WorkerKind {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Image, Self::Audio, Self::Language];

    /// Its name in the table, in settings and in statistics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Language => "language",
        }
    }
}

impl TaskType {
    /// Every type, in the order the documentation lists them.
    pub const ALL: [Self; 9] = [
        Self::Sentiment,
        Self::Classify,
        Self::Embed,
        Self::Summarize,
        Self::Translate,
        Self::DataExtraction,
        Self::FaceDetection,
        Self::Ocr,
        Self::Transcribe,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sentiment => "sentiment",
            Self::Classify => "classify",
            Self::Embed => "embed",
            Self::Summarize => "summarize",
            Self::Translate => "translate",
            Self::DataExtraction => "data_extraction",
            Self::FaceDetection => "face_detection",
            Self::Ocr => "ocr",
            Self::Transcribe => "transcribe",
        }
    }

    /// The worker that runs it, unless its parameters ask for another engine.
    #[must_use]
    pub const fn default_worker(self) -> WorkerKind {
        match self {
            Self::Sentiment | Self::Classify | Self::Embed | Self::Summarize => WorkerKind::Text,
            Self::Translate | Self::DataExtraction => WorkerKind::Language,
            Self::FaceDetection | Self::Ocr => WorkerKind::Image,
            Self::Transcribe => WorkerKind::Audio,
        }
    }

    /// What an input of this type looks like, for whoever sent another.
    pub(crate) const fn input_shape(self) -> &'static str {
        match self {
            Self::Sentiment => r#"{"text": "..."}"#,
            Self::Classify => {
                r#"{"text": "..."}, and perhaps "labels": ["...", "..."], "multi_label": true, "engine": "llm""#
            }
            Self::Embed => r#"{"text": "..."} or {"texts": ["...", "..."]}"#,
            Self::Summarize => {
                r#"{"text": "..."}, and perhaps "max_sentences": 3 or "ratio": 0.2, "engine": "llm""#
            }
            Self::Translate => r#"{"text": "...", "target_language": "de"}"#,
            Self::DataExtraction => r#"{"text": "...", "schema": {...}}"#,
            Self::FaceDetection | Self::Ocr => r#"{"image": "base64 or data URL"}"#,
            Self::Transcribe => r#"{"audio": "base64 or data URL"}"#,
        }
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No type has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no task type is named so; the types are {}", TaskType::ALL.map(TaskType::as_str).join(", "))]
pub struct UnknownTaskType;

impl FromStr for TaskType {
    type Err = UnknownTaskType;

    fn from_str(name: &str) -> Result<Self, UnknownTaskType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or(UnknownTaskType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_on_the_wire_is_the_name_in_code() {
        for kind in TaskType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("telepathy".parse::<TaskType>(), Err(UnknownTaskType));
        assert!(UnknownTaskType.to_string().contains("sentiment, classify"));
    }
}

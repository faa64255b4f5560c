//! What may be asked for, and who answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskType {
    /// Does the text speak well or ill of its subject?
    Sentiment,
    /// Where are the faces on the picture?
    FaceDetection,
}

/// What kind of payload a type takes, and so which worker runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modality {
    /// The text worker's.
    Text,
    /// The image worker's.
    Image,
}

impl TaskType {
    /// Every type, in the order the documentation lists them.
    pub const ALL: [Self; 2] = [Self::Sentiment, Self::FaceDetection];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sentiment => "sentiment",
            Self::FaceDetection => "face_detection",
        }
    }

    /// Which worker runs it.
    #[must_use]
    pub const fn modality(self) -> Modality {
        match self {
            Self::Sentiment => Modality::Text,
            Self::FaceDetection => Modality::Image,
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
        assert!(UnknownTaskType.to_string().contains("sentiment, face_detection"));
    }
}

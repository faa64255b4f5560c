//! The stable codes of a task's error.
//!
//! A worker reports an [`ErrorCode`], so the compiler knows the whole list. `docs/API.md` explains each to callers, and a test
//! compares the two. A release that is newer or older than this one may have stored a code that this one does not know.
//! Therefore a code that is read back is a [`StoredErrorCode`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong. Clients may branch on a code; the message beside it is for people.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ErrorCode {
    /// The image is truncated or damaged.
    InvalidImage,
    /// The image is not a JPEG, PNG, WebP, GIF or BMP file.
    UnsupportedImageType,
    /// The image exceeds a limit on bytes, sides, pixels or decoder memory.
    ImageTooLarge,
    /// The recording is truncated or damaged.
    InvalidAudio,
    /// The recording is not a WAV, FLAC, MP3 or OGG file.
    UnsupportedAudioType,
    /// The recording plays for longer than the limit.
    AudioTooLong,
    /// The recording's file exceeds the limit on bytes.
    AudioTooLarge,
    /// The code that ran the task panicked.
    Panic,
    /// The uploaded content is not what the task's type accepts, or the parameters cannot be fulfilled.
    InvalidInput,
    /// The stored input does not exist any more.
    PayloadMissing,
    /// The stored input differs from the one that was submitted.
    PayloadChanged,
    /// The attempt exceeded its deadline.
    Timeout,
    /// The run that the attempt shared with other tasks was stopped.
    Interrupted,
    /// The process that runs the model could not be started.
    WorkerUnavailable,
    /// The model's run failed.
    InferenceFailed,
    /// The payload bucket did not answer.
    StorageUnavailable,
    /// The worker's process ended before it reported an outcome.
    Crashed,
    /// A service that the attempt needs limits the request rate.
    Throttled,
    /// The result exceeds [`MAX_RESULT_BYTES`](crate::MAX_RESULT_BYTES).
    ResultTooLarge,
    /// The worker does not run tasks of this type.
    WrongWorker,
    /// The stack has no language model.
    ProviderNotConfigured,
    /// The language model's provider refused the stack's key, its model or the request.
    ProviderRefused,
    /// The language model's provider limits the request rate.
    ProviderThrottled,
    /// The language model's provider did not answer in time, or failed.
    ProviderUnavailable,
    /// The text exceeds the stack's limit or the language model's context.
    TextTooLong,
    /// The language model's answer does not have the required form, even after a repair.
    InvalidAnswer,
    /// The language model's answer does not match the task's schema, even after a repair.
    InvalidExtraction,
    /// A test injected the error.
    #[cfg(feature = "faults")]
    Fault,
}

impl ErrorCode {
    /// The name in the table and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A code as the table stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoredErrorCode {
    /// A code of this release.
    Known(ErrorCode),
    /// A code that only another release knows. It is shown as it was stored.
    Unknown(Box<str>),
}

impl StoredErrorCode {
    /// The name in the table and on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(code) => code.as_str(),
            Self::Unknown(name) => name,
        }
    }
}

impl From<ErrorCode> for StoredErrorCode {
    fn from(code: ErrorCode) -> Self {
        Self::Known(code)
    }
}

impl fmt::Display for StoredErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use strum::VariantArray;

    use super::*;

    #[test]
    fn a_code_has_one_name_in_code_in_the_table_and_on_the_wire() {
        for &code in ErrorCode::VARIANTS {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            let stored = StoredErrorCode::from(code);
            assert_eq!(serde_json::to_value(&stored).unwrap(), code.as_str());
            assert_eq!(
                serde_json::from_value::<StoredErrorCode>(json!(code.as_str())).unwrap(),
                stored
            );
        }
    }

    #[test]
    fn a_code_of_another_release_is_read_and_written_unchanged() {
        let stored: StoredErrorCode = serde_json::from_value(json!("code_of_another_release")).unwrap();
        assert_eq!(stored, StoredErrorCode::Unknown("code_of_another_release".into()));
        assert_eq!(stored.to_string(), "code_of_another_release");
        assert_eq!(
            serde_json::to_value(&stored).unwrap(),
            json!("code_of_another_release")
        );
    }

    #[test]
    fn the_api_documentation_lists_every_code() {
        let page = include_str!("../../../docs/API.md");
        let section = page
            .split_once("### A task's error")
            .expect("docs/API.md has the section \"A task's error\"")
            .1;
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section
            .split_once("| `code` |")
            .expect("the section has a table of codes")
            .1;
        let cells = rows
            .lines()
            .take_while(|line| line.starts_with('|') || line.ends_with('|'))
            .filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
        let documented: BTreeSet<&str> = cells
            .flat_map(|cell| cell.split(", "))
            .map(|name| name.trim_matches('`'))
            .collect();
        // Injected errors are not part of the API.
        let known: BTreeSet<&str> = ErrorCode::VARIANTS
            .iter()
            .map(|code| code.as_str())
            .filter(|name| *name != "fault")
            .collect();
        let missing: Vec<_> = known.difference(&documented).collect();
        let unknown: Vec<_> = documented.difference(&known).collect();
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "docs/API.md, \"A task's error\": add rows for {missing:?}, remove {unknown:?}"
        );
    }
}

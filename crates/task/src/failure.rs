//! What can go wrong with a task, and whether another attempt could help.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::TaskType;

/// The stable codes an error carries. A client may branch on them; the message beside one is for people.
pub mod code {
    /// The bytes are no image that can be decoded.
    pub const INVALID_IMAGE: &str = "invalid_image";
    /// The image is of a type that is not taken.
    pub const UNSUPPORTED_IMAGE_TYPE: &str = "unsupported_image_type";
    /// The image exceeds a limit on bytes, sides, pixels or decoder memory.
    pub const IMAGE_TOO_LARGE: &str = "image_too_large";
    /// The bytes are no recording that can be decoded.
    pub const INVALID_AUDIO: &str = "invalid_audio";
    /// The recording is of a type that is not taken.
    pub const UNSUPPORTED_AUDIO_TYPE: &str = "unsupported_audio_type";
    /// The recording is longer than is taken.
    pub const AUDIO_TOO_LONG: &str = "audio_too_long";
    /// The recording's file is larger than is taken.
    pub const AUDIO_TOO_LARGE: &str = "audio_too_large";
    /// The task's input made the code that runs it panic.
    pub const PANIC: &str = "panic";
    /// What was uploaded is not what its task's type takes, or what is asked can't be.
    pub const INVALID_INPUT: &str = "invalid_input";
    /// The stored input is gone.
    pub const PAYLOAD_MISSING: &str = "payload_missing";
    /// The stored input is not the one that was submitted.
    pub const PAYLOAD_CHANGED: &str = "payload_changed";
    /// The attempt was cut off at its deadline.
    pub const TIMEOUT: &str = "timeout";
    /// The model's run failed.
    pub const INFERENCE_FAILED: &str = "inference_failed";
    /// The storage that holds the input did not answer.
    pub const STORAGE_UNAVAILABLE: &str = "storage_unavailable";
    /// The attempt ended with its process, without a word.
    pub const CRASHED: &str = "crashed";
    /// The payload bucket, or what else the attempt needs, was asked too often.
    pub const THROTTLED: &str = "throttled";
    /// The result is larger than can be kept.
    pub const RESULT_TOO_LARGE: &str = "result_too_large";
    /// A worker was handed a task of a type that it does not run.
    pub const WRONG_WORKER: &str = "wrong_worker";
    /// The stack has no language model.
    pub const PROVIDER_NOT_CONFIGURED: &str = "provider_not_configured";
    /// The language model's provider refused the stack's key, its model or the request.
    pub const PROVIDER_REFUSED: &str = "provider_refused";
    /// The language model's provider was asked too often.
    pub const PROVIDER_THROTTLED: &str = "provider_throttled";
    /// The language model's provider did not answer, not in time, or with a failure of its own.
    pub const PROVIDER_UNAVAILABLE: &str = "provider_unavailable";
    /// The text is longer than the language model may be asked, or can take.
    pub const TEXT_TOO_LONG: &str = "text_too_long";
    /// The language model's answer did not have the form that was asked for, not even when repaired.
    pub const INVALID_ANSWER: &str = "invalid_answer";
    /// The language model's answer did not fit the sender's schema, not even when repaired.
    pub const INVALID_EXTRACTION: &str = "invalid_extraction";
}

/// How long an error's message may be, in bytes: it is stored with the task and read in lists.
const MAX_MESSAGE_BYTES: usize = 512;
/// How long it may be in an attempt's entry.
const MAX_BRIEF_BYTES: usize = 256;

/// Why a task is not, or not yet, completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The attempt failed, and another will follow. The only kind that a task which is not final can show.
    Transient,
    /// Another attempt would fail the same way.
    Permanent,
    /// The last attempt failed too.
    Exhausted,
    /// The last attempt was cut off at its deadline.
    Timeout,
}

impl FailureKind {
    /// Whether a person may help where attempts could not.
    #[must_use]
    pub const fn is_dead_letter(self) -> bool {
        matches!(self, Self::Exhausted | Self::Timeout)
    }
}

/// The error that a task shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// What it means for the task.
    pub kind: FailureKind,
    /// One of [`code`].
    pub code: Cow<'static, str>,
    /// A sentence for people: what was wrong and what to do.
    pub message: String,
}

impl Failure {
    /// Its code and message, for an attempt's entry.
    pub(crate) fn brief(&self) -> String {
        let mut brief = format!("{}: {}", self.code, self.message);
        brief.truncate(brief.floor_char_boundary(MAX_BRIEF_BYTES));
        brief
    }
}

/// What an attempt's failure says of the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunErrorClass {
    /// The input is at fault: another attempt would fail the same way.
    Permanent,
    /// Something around the input is at fault: another attempt may succeed.
    Transient,
    /// The attempt was cut off at its deadline.
    Timeout,
    /// Something was asked too often: the attempt is not spent.
    Throttled,
}

/// How one attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct RunError {
    /// Whether another attempt could help.
    pub class: RunErrorClass,
    /// One of [`code`].
    pub code: &'static str,
    /// A sentence for people, cut to 512 bytes.
    pub message: String,
    /// How long to wait at least before the next attempt, where whoever turned this one away has said so.
    pub retry_after: Option<Duration>,
}

impl RunError {
    /// The input is at fault.
    pub fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(RunErrorClass::Permanent, code, message.into())
    }

    /// Another attempt may succeed.
    pub fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(RunErrorClass::Transient, code, message.into())
    }

    /// The attempt was cut off at its deadline.
    #[must_use]
    pub fn timeout() -> Self {
        let message =
            "the attempt was cut off at its deadline: send a smaller input, or give the worker more time";
        Self::new(RunErrorClass::Timeout, code::TIMEOUT, message.to_owned())
    }

    /// Something was asked too often, and said perhaps when to come back.
    pub fn throttled(code: &'static str, message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..Self::new(RunErrorClass::Throttled, code, message.into())
        }
    }

    /// The attempt's process ended without a word.
    #[must_use]
    pub fn crashed() -> Self {
        Self::transient(
            code::CRASHED,
            "the worker ended without a word: the input may be too large for its memory",
        )
    }

    /// A worker was handed a task that another one runs: its queue is fed wrongly.
    #[must_use]
    pub fn wrong_worker(task_type: TaskType) -> Self {
        Self::permanent(
            code::WRONG_WORKER,
            format!("this worker does not run {task_type}: the stack is set up wrongly"),
        )
    }

    fn new(class: RunErrorClass, code: &'static str, mut message: String) -> Self {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        Self {
            class,
            code,
            message,
            retry_after: None,
        }
    }

    /// The error as the task shows it.
    #[must_use]
    pub fn into_failure(self, kind: FailureKind) -> Failure {
        Failure {
            kind,
            code: Cow::Borrowed(self.code),
            message: self.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let error = RunError::permanent(code::PANIC, "é".repeat(400));
        assert_eq!(error.message.len(), MAX_MESSAGE_BYTES);
        let odd = RunError::permanent(code::PANIC, format!("x{}", "é".repeat(400)));
        assert_eq!(odd.message.len(), MAX_MESSAGE_BYTES - 1);
    }
}

//! What can go wrong with a task, and whether another attempt could help.

use std::borrow::Cow;

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
    /// The task's input made the code that runs it panic.
    pub const PANIC: &str = "panic";
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
    /// Every attempt ended with its process, without a word.
    pub const CRASHED: &str = "crashed";
    /// The result is larger than a task can hold.
    pub const RESULT_TOO_LARGE: &str = "result_too_large";
    /// A worker was handed a task of a type that it does not run.
    pub const WRONG_WORKER: &str = "wrong_worker";
}

/// How long an error's message may be, in bytes: it is stored with the task and read in lists.
const MAX_MESSAGE_BYTES: usize = 512;

/// Why a task is not, or not yet, completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The error that a task shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it means for the task.
    pub kind: FailureKind,
    /// One of [`code`].
    pub code: Cow<'static, str>,
    /// A sentence for people: what was wrong and what to do.
    pub message: String,
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
        Self { class, code, message }
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

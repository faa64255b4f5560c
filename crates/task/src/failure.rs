//! What can go wrong with a task, and whether another attempt may succeed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, StoredErrorCode, TaskType};

/// The longest message of an error, in bytes. Messages are stored with the task and read in lists.
const MAX_MESSAGE_BYTES: usize = 512;
/// The longest code and message in an attempt's entry, in bytes.
const MAX_BRIEF_BYTES: usize = 256;

/// The shortest wait before another try to start a process that could not be started.
const START_PAUSE: Duration = Duration::from_secs(5);

/// What a task's error means for the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The attempt failed, and another follows. Only tasks that are not final have this kind.
    Transient,
    /// Another attempt would fail the same way.
    Permanent,
    /// The last attempt failed too.
    Exhausted,
    /// The last attempt exceeded its deadline.
    Timeout,
}

impl FailureKind {
    /// The kind of a task that failed for good because its last error was of this class.
    #[must_use]
    pub const fn from_last_attempt(class: RunErrorClass) -> Self {
        match class {
            RunErrorClass::Permanent => Self::Permanent,
            RunErrorClass::Transient
            | RunErrorClass::Throttled
            | RunErrorClass::Interrupted
            | RunErrorClass::Lost => Self::Exhausted,
            RunErrorClass::Timeout => Self::Timeout,
        }
    }

    /// Whether a failed task with this kind is a dead letter: a person may help where attempts did not.
    #[must_use]
    pub const fn is_dead_letter(self) -> bool {
        matches!(self, Self::Exhausted | Self::Timeout)
    }
}

/// The error that a task shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// What the error means for the task.
    pub kind: FailureKind,
    /// A stable name for what went wrong. `docs/API.md` lists them.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: StoredErrorCode,
    /// A sentence for people: what was wrong, then what to do.
    pub message: String,
}

impl Failure {
    /// The code and the message, cut to what an attempt's entry stores.
    pub(crate) fn brief(&self) -> String {
        let mut brief = format!("{}: {}", self.code, self.message);
        brief.truncate(brief.floor_char_boundary(MAX_BRIEF_BYTES));
        brief
    }
}

/// Whether another attempt may succeed after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunErrorClass {
    /// The input is at fault. Another attempt would fail the same way.
    Permanent,
    /// Something other than the input is at fault. Another attempt may succeed.
    Transient,
    /// The attempt exceeded its deadline. Another attempt, isolated from other tasks, may succeed.
    Timeout,
    /// A service limits the request rate. The attempt does not count.
    Throttled,
    /// The run that the attempt shared with other tasks was stopped. The attempt does not count, and the next one runs isolated.
    Interrupted,
    /// The process that ran the attempt ended. The next attempt runs isolated. This one counts only if it was isolated too.
    Lost,
}

/// Why one attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct RunError {
    /// Whether another attempt may succeed.
    pub class: RunErrorClass,
    pub code: ErrorCode,
    /// A sentence for people, cut to 512 bytes.
    pub message: String,
    /// The shortest wait before the next attempt; `None` if the service that refused this one did not name a time.
    pub retry_after: Option<Duration>,
}

impl RunError {
    /// An error that another attempt would meet again.
    pub fn permanent(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(RunErrorClass::Permanent, code, message.into())
    }

    /// An error that another attempt may not meet.
    pub fn transient(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(RunErrorClass::Transient, code, message.into())
    }

    /// The error of an attempt that exceeded its deadline.
    #[must_use]
    pub fn timeout() -> Self {
        let message = "the attempt exceeded its deadline: send a smaller input, or give the worker more time";
        Self::new(RunErrorClass::Timeout, ErrorCode::Timeout, message.to_owned())
    }

    /// The error of an attempt whose run was stopped before it ended, and which ran beside other tasks: any of them may have
    /// used the time.
    #[must_use]
    pub fn interrupted() -> Self {
        let message = "the run was stopped, and other tasks ran beside this one: it runs again by itself";
        Self::new(
            RunErrorClass::Interrupted,
            ErrorCode::Interrupted,
            message.to_owned(),
        )
    }

    /// The error of an attempt that a service refused because of the request rate.
    pub fn throttled(code: ErrorCode, message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..Self::new(RunErrorClass::Throttled, code, message.into())
        }
    }

    /// The error of an attempt whose process ended before it reported an outcome.
    #[must_use]
    pub fn crashed() -> Self {
        let message = "the worker crashed before it reported a result: the input may need more memory than the worker has";
        Self::new(RunErrorClass::Lost, ErrorCode::Crashed, message.to_owned())
    }

    /// The error of an attempt whose process could not be started. The reason is in the log, not shown to the client.
    #[must_use]
    pub fn worker_unavailable() -> Self {
        let message =
            "the process that runs the model could not be started: see the server's log for the reason";
        Self::throttled(ErrorCode::WorkerUnavailable, message, Some(START_PAUSE))
    }

    /// The error of a task whose type the worker does not run.
    #[must_use]
    pub fn wrong_worker(task_type: TaskType) -> Self {
        Self::permanent(
            ErrorCode::WrongWorker,
            format!("this worker does not run {task_type} tasks: check which queue it reads"),
        )
    }

    fn new(class: RunErrorClass, code: ErrorCode, mut message: String) -> Self {
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
            code: self.code.into(),
            message: self.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let error = RunError::permanent(ErrorCode::Panic, "é".repeat(400));
        assert_eq!(error.message.len(), MAX_MESSAGE_BYTES);
        let odd = RunError::permanent(ErrorCode::Panic, format!("x{}", "é".repeat(400)));
        assert_eq!(odd.message.len(), MAX_MESSAGE_BYTES - 1);
    }
}

//! How an attempt ends, and how a task ends.
//!
//! One fact is seen from several sides. Each side has a type, because its values differ; each type but the first is derived
//! from the others.
//!
//! | type | values | question | where it is seen |
//! | --- | --- | --- | --- |
//! | [`RunErrorClass`] | `Permanent`, `Transient`, `Timeout`, `Throttled`, `Interrupted`, `Lost` | May another attempt succeed? The runner decides it, or the worker's loop if the run was stopped. | not stored |
//! | [`Outcome`] | the same six, `Completed`, `Cancelled` | How did one attempt end? | `attempts[].outcome` of a task |
//! | [`Settlement`](crate::Settlement) | `Completed`, `Retry`, `Failed` | What follows for the task? | log field `settlement`, the worker's metrics |
//! | [`FailureKind`](crate::FailureKind) | `Transient`, `Permanent`, `Exhausted`, `Timeout` | What does the error mean for the task? | `error.kind` of a task |
//! | [`TaskEnd`] | `Completed`, `Failed`, `Cancelled`, `Dead` | How did the task end? | dimension `Outcome` of the metric `TasksEnded` |

use serde::{Deserialize, Serialize};

use crate::{Failure, RunErrorClass, Status};

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has a result.
    Completed,
    /// It failed, and another attempt would fail the same way.
    Permanent,
    /// It failed, and another attempt may succeed.
    Transient,
    /// It exceeded its deadline.
    Timeout,
    /// A service refused it because of the request rate. It does not count as an attempt.
    Throttled,
    /// Its run was stopped while other tasks ran beside it. It does not count as an attempt.
    Interrupted,
    /// Its process ended or lost the lease, so nobody reported an outcome. It counts as an attempt if it ran isolated.
    Lost,
    /// Its task was cancelled while it ran.
    Cancelled,
}

impl From<RunErrorClass> for Outcome {
    fn from(class: RunErrorClass) -> Self {
        match class {
            RunErrorClass::Permanent => Self::Permanent,
            RunErrorClass::Transient => Self::Transient,
            RunErrorClass::Timeout => Self::Timeout,
            RunErrorClass::Throttled => Self::Throttled,
            RunErrorClass::Interrupted => Self::Interrupted,
            RunErrorClass::Lost => Self::Lost,
        }
    }
}

/// How a task ended, as metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TaskEnd {
    /// It has a result.
    Completed,
    /// Its input is at fault.
    Failed,
    /// Its owner cancelled it.
    Cancelled,
    /// It is a dead letter: its attempts are exhausted, and a person should look at it.
    Dead,
}

impl TaskEnd {
    /// How a task with this status and error ended; `None` if it is not final.
    #[must_use]
    pub fn new(status: Status, error: Option<&Failure>) -> Option<Self> {
        let is_dead = error.is_some_and(|error| error.kind.is_dead_letter());
        match status {
            Status::Completed => Some(Self::Completed),
            Status::Failed if is_dead => Some(Self::Dead),
            Status::Failed => Some(Self::Failed),
            Status::Cancelled => Some(Self::Cancelled),
            Status::Blocked | Status::Pending | Status::Processing => None,
        }
    }

    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FailureKind, RunError};

    #[test]
    fn only_a_failed_task_is_a_dead_letter() {
        let error = |kind| RunError::timeout().into_failure(kind);
        let end = |status, kind| TaskEnd::new(status, Some(&error(kind))).map(TaskEnd::as_str);
        assert_eq!(end(Status::Failed, FailureKind::Exhausted), Some("dead"));
        assert_eq!(end(Status::Failed, FailureKind::Timeout), Some("dead"));
        assert_eq!(end(Status::Failed, FailureKind::Permanent), Some("failed"));
        assert_eq!(end(Status::Cancelled, FailureKind::Timeout), Some("cancelled"));
        assert_eq!(end(Status::Completed, FailureKind::Transient), Some("completed"));
        assert_eq!(end(Status::Pending, FailureKind::Transient), None);
    }
}

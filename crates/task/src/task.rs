//! What is kept of a task.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Failure, Metadata, ObjectRef, Payload, Priority, Report, Size, TaskId, TaskResult, TaskType, Tenant,
    WorkerKind,
};

/// How many of its newest attempts a task remembers.
pub const MAX_HISTORY: usize = 10;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for other tasks.
    Blocked,
    /// Waits for a worker, or for the time of its next attempt.
    Pending,
    /// A worker holds its lease.
    Processing,
    /// Final, with a result.
    Completed,
    /// Final, with an error.
    Failed,
    /// Final, by its owner's word.
    Cancelled,
}

impl Status {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::Blocked,
        Self::Pending,
        Self::Processing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in the table and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether nothing more will happen to it by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a result.
    Completed,
    /// With an error that another attempt would meet again.
    Permanent,
    /// With an error that may pass.
    Transient,
    /// Cut off at its deadline.
    Timeout,
    /// Turned away by something that was asked too often. It is not spent.
    Throttled,
    /// Without a word: its process died, or lost its lease.
    Lost,
    /// By its owner's word, while it ran.
    Cancelled,
}

/// One attempt, as the task remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The generation it belongs to.
    pub generation: u32,
    /// When it was claimed.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub started_at: Timestamp,
    /// When its end was written; none while it runs, or if nobody wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Its error's code and message, cut to 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A task as the table holds it. Times are kept in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// Its owner.
    pub tenant: Tenant,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Which worker runs it.
    pub modality: WorkerKind,
    /// How much work it is.
    pub size: Size,
    /// How soon it is to run.
    #[serde(default)]
    pub priority: Priority,
    /// Where it stands.
    pub status: Status,
    /// Its input, or where it lies.
    pub payload: Payload,
    /// The client's own notes.
    #[serde(default)]
    pub metadata: Metadata,
    /// Rises with every retry by a person; a message of an older generation is dropped.
    pub generation: u32,
    /// How many attempts of this generation are spent, the current one included.
    pub attempt: u32,
    /// How many attempts a generation has.
    pub max_attempts: u32,
    /// How long an attempt may run, in seconds, where that is less than its worker allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// What the logs of all that handle it know it by: the client's own id for what the task is part of, or its request's.
    #[serde(default)]
    pub correlation_id: String,
    /// Rises with every claim, cancel, redrive and take-back, and never resets; only who holds the newest may write an
    /// attempt's end.
    pub fence: u64,
    /// How many attempts in a row, the current one included, have not ended by themselves: their process died, or
    /// they were cut off. Above 1 in a running task, its input is suspected to be the cause.
    #[serde(default, rename = "suspicion")]
    pub consecutive_crashes: u32,
    /// How many attempts of this generation were throttled, and so not spent.
    #[serde(default)]
    pub throttles: u32,
    /// Its attempts, oldest first.
    #[serde(default)]
    pub history: Vec<Attempt>,
    /// The answer, once completed, if the item can hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// Where a larger answer lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_object: Option<ObjectRef>,
    /// How the answer came about, once completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// The error, once failed; before that, the last attempt's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// When it was accepted.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
    /// Not before this will it be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub next_attempt_at: Option<Timestamp>,
    /// Until when its worker may be taken to be alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub lease_until: Option<Timestamp>,
    /// When the janitor looks at it next; none once it is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub due_at: Option<Timestamp>,
}

/// What a new task is made of.
#[derive(Debug, Clone)]
pub struct TaskDraft {
    /// Its name.
    pub id: TaskId,
    /// Its owner.
    pub tenant: Tenant,
    /// What it asks for.
    pub task_type: TaskType,
    /// Which worker runs it.
    pub modality: WorkerKind,
    /// How much work it is.
    pub size: Size,
    /// How soon it is to run.
    pub priority: Priority,
    /// Its input, or where it lies.
    pub payload: Payload,
    /// The client's own notes.
    pub metadata: Metadata,
    /// How many attempts a generation has.
    pub max_attempts: u32,
    /// How long an attempt may run, in seconds.
    pub timeout_seconds: Option<u32>,
    /// What the logs know it by.
    pub correlation_id: String,
}

impl Task {
    /// A task that was just accepted, at `now`.
    #[must_use]
    pub fn new(draft: TaskDraft, now: Timestamp, due_at: Timestamp) -> Self {
        Self {
            id: draft.id,
            tenant: draft.tenant,
            task_type: draft.task_type,
            modality: draft.modality,
            size: draft.size,
            priority: draft.priority,
            status: Status::Pending,
            payload: draft.payload,
            metadata: draft.metadata,
            generation: 1,
            attempt: 0,
            max_attempts: draft.max_attempts,
            timeout_seconds: draft.timeout_seconds,
            correlation_id: draft.correlation_id,
            fence: 0,
            consecutive_crashes: 0,
            throttles: 0,
            history: Vec::new(),
            result: None,
            result_object: None,
            report: None,
            error: None,
            created_at: now,
            updated_at: now,
            next_attempt_at: None,
            lease_until: None,
            due_at: Some(due_at),
        }
    }

    /// The message that rings for the task's present generation.
    #[must_use]
    pub fn message(&self) -> Message {
        Message {
            tenant: self.tenant.clone(),
            id: self.id,
            generation: self.generation,
        }
    }

    /// How long the attempt that it was claimed for has waited: since the task was accepted, or since the attempt before
    /// ended. Clocks of several machines tell it, so it may be off by their difference.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let mut attempts = self.history.iter().rev();
        let Some(current) = attempts.next() else {
            return Duration::ZERO;
        };
        let since = attempts
            .find_map(|attempt| attempt.ended_at)
            .unwrap_or(self.created_at);
        Duration::try_from(current.started_at - since).unwrap_or_default()
    }

    /// Its attempts, each with the end that is known of it: one that nobody wrote an end of, and that does not run, was
    /// cancelled with its task, or lost.
    #[must_use]
    pub fn history_with_outcomes(&self) -> Vec<Attempt> {
        let mut history = self.history.clone();
        let last = history.len().saturating_sub(1);
        for (place, attempt) in history.iter_mut().enumerate() {
            if attempt.outcome.is_some() || (place == last && self.status == Status::Processing) {
                continue;
            }
            let is_cancelled = place == last && self.status == Status::Cancelled;
            attempt.outcome = Some(if is_cancelled {
                Outcome::Cancelled
            } else {
                Outcome::Lost
            });
        }
        history
    }

    /// Whether all its attempts were in vain, so that a person should look at it: a dead letter.
    #[must_use]
    pub fn is_dead_letter(&self) -> bool {
        self.status == Status::Failed
            && self
                .error
                .as_ref()
                .is_some_and(|error| error.kind.is_dead_letter())
    }
}

/// What travels through a queue: only the name of a task. The table holds the truth.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The task's owner.
    pub tenant: Tenant,
    /// The task.
    pub id: TaskId,
    /// The generation it rings for.
    pub generation: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_status_has_one_name() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn an_attempt_without_an_end_runs_or_was_cancelled_or_lost() {
        let begun = Attempt {
            generation: 1,
            started_at: testing::NOON,
            ended_at: None,
            outcome: None,
            error: None,
        };
        let mut task = testing::task();
        task.history = vec![begun.clone(), begun];
        for (status, last) in [
            (Status::Processing, None),
            (Status::Cancelled, Some(Outcome::Cancelled)),
            (Status::Pending, Some(Outcome::Lost)),
        ] {
            task.status = status;
            let outcomes: Vec<_> = task
                .history_with_outcomes()
                .into_iter()
                .map(|attempt| attempt.outcome)
                .collect();
            assert_eq!(outcomes, [Some(Outcome::Lost), last], "{status:?}");
        }
    }

    #[test]
    fn a_task_is_read_back_as_it_was_written() {
        let task = testing::task();
        let written = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&written).unwrap(), task);
    }
}

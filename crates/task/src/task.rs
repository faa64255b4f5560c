//! What the table stores of a task.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::EnumCount;

use crate::{
    Failure, Metadata, ObjectRef, Outcome, Payload, Priority, Report, Size, TaskEnd, TaskId, TaskResult,
    TaskType, Tenant, WorkerKind, variants,
};

/// How many attempts a task's history contains. Older ones are dropped.
pub const MAX_HISTORY: usize = 10;

/// The state of a task. `completed`, `failed` and `cancelled` are final.
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Waits for other tasks to complete.
    Blocked,
    /// Waits for a worker, or for the time of its next attempt.
    Pending,
    /// A worker has claimed it and runs it.
    Processing,
    /// Final: it has a result.
    Completed,
    /// Final: it has an error.
    Failed,
    /// Final: its owner cancelled it.
    Cancelled,
}

impl Status {
    /// Every status. It is an array, so that callers can hold one value for each status.
    pub const ALL: [Self; Self::COUNT] = variants::array();

    /// The name in the table and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The status of this name; `None` if no status has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// Whether no worker can change the status any more. A person can redrive a task that failed or was cancelled.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// One attempt, as the task's history stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The task's generation when the attempt began.
    pub generation: u32,
    /// When a worker claimed the task, in milliseconds since the epoch.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub started_at: Timestamp,
    /// When the attempt's end was written, in milliseconds since the epoch; `None` while it runs, or if nobody wrote its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` as for `ended_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The error's code and message, cut to 256 bytes; `None` if it did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A task as the table stores it. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    /// The owner. No other tenant can see the task.
    pub tenant: Tenant,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// The worker that runs the task. The attribute is named `modality`.
    #[serde(rename = "modality")]
    pub worker_kind: WorkerKind,
    /// How much work the task is. With `priority` it decides the lane.
    pub size: Size,
    #[serde(default)]
    pub priority: Priority,
    pub status: Status,
    /// The input, or a reference to its object in the payload bucket.
    pub payload: Payload,
    /// The client's own notes, returned unchanged.
    #[serde(default)]
    pub metadata: Metadata,
    /// 1, and one more with each retry or redrive by a person. A message of an older generation is dropped.
    pub generation: u32,
    /// How many attempts of this generation are spent, the current one included.
    pub attempt: u32,
    /// How many attempts a generation has, 1 to [`MAX_ATTEMPTS`](crate::MAX_ATTEMPTS).
    pub max_attempts: u32,
    /// How long an attempt may run, in seconds; `None` for the worker's own limit, which also bounds this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The client's name for what the task is part of, or else the id of the request. Every log line about the task has it.
    #[serde(default)]
    pub correlation_id: String,
    /// Rises with every claim, reclaim, fail_exhausted, cancel and redrive, and never falls. Only the worker that holds the newest may write an
    /// attempt's end.
    pub fence: u64,
    /// How many attempts in a row, the current one included, did not report their own end: their process died, or they
    /// exceeded their deadline. Above 1 in a running task, its input may be the cause.
    #[serde(default, rename = "suspicion")]
    pub consecutive_crashes: u32,
    /// How many attempts of this generation were throttled. They are not spent.
    #[serde(default)]
    pub throttles: u32,
    /// The newest [`MAX_HISTORY`] attempts, oldest first.
    #[serde(default)]
    pub history: Vec<Attempt>,
    /// The result of a completed task; `None` if it is in the payload bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// The result's object in the payload bucket; `None` if the item contains the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_object: Option<ObjectRef>,
    /// How the result came about; `None` until the task is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// The error of a failed task, or of the last attempt while another follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// When the API accepted the task.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub created_at: Timestamp,
    /// When the current generation began; `None` in the first, which begins when the task is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub redriven_at: Option<Timestamp>,
    /// When the status last changed, or an attempt began or ended.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
    /// No attempt begins before this time; `None` if the task is not backing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub next_attempt_at: Option<Timestamp>,
    /// Until this time the claim's worker is taken to be alive; `None` unless the task is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub lease_until: Option<Timestamp>,
    /// When the sweeper checks the task next; `None` once it is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub due_at: Option<Timestamp>,
}

/// The parts of a new task that its submission decides. Each field is the one of [`Task`] of that name.
#[derive(Debug, Clone)]
pub struct TaskDraft {
    pub id: TaskId,
    pub tenant: Tenant,
    pub task_type: TaskType,
    pub worker_kind: WorkerKind,
    pub size: Size,
    pub priority: Priority,
    pub payload: Payload,
    pub metadata: Metadata,
    pub max_attempts: u32,
    pub timeout_seconds: Option<u32>,
    pub correlation_id: String,
}

impl Task {
    /// A task that the API accepts at `now` and the sweeper first checks at `due_at`.
    #[must_use]
    pub fn new(draft: TaskDraft, now: Timestamp, due_at: Timestamp) -> Self {
        Self {
            id: draft.id,
            tenant: draft.tenant,
            task_type: draft.task_type,
            worker_kind: draft.worker_kind,
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
            redriven_at: None,
            updated_at: now,
            next_attempt_at: None,
            lease_until: None,
            due_at: Some(due_at),
        }
    }

    /// The message of the task's current generation.
    #[must_use]
    pub fn message(&self) -> Message {
        Message {
            tenant: self.tenant.clone(),
            id: self.id,
            generation: self.generation,
        }
    }

    /// How long the current attempt waited: since the previous attempt of its generation ended, or since the task was accepted
    /// or redriven. The two times come from different machines, so their clocks' difference is part of it.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let mut attempts = self.history.iter().rev();
        let Some(current) = attempts.next() else {
            return Duration::ZERO;
        };
        let since = attempts
            .take_while(|attempt| attempt.generation == current.generation)
            .find_map(|attempt| attempt.ended_at)
            .or(self.redriven_at)
            .unwrap_or(self.created_at);
        Duration::try_from(current.started_at - since).unwrap_or_default()
    }

    /// The attempts, each with its outcome. An attempt without a stored outcome that does not run was cancelled with its task,
    /// or lost.
    #[must_use]
    pub fn history_with_outcomes(&self) -> Vec<Attempt> {
        let mut history = self.history.clone();
        let last = history.len().saturating_sub(1);
        for (index, attempt) in history.iter_mut().enumerate() {
            if attempt.outcome.is_some() || (index == last && self.status == Status::Processing) {
                continue;
            }
            let is_cancelled = index == last && self.status == Status::Cancelled;
            attempt.outcome = Some(if is_cancelled {
                Outcome::Cancelled
            } else {
                Outcome::Lost
            });
        }
        history
    }

    /// Whether the task is a dead letter: it failed because its attempts are exhausted, so that a person should look at it.
    #[must_use]
    pub fn is_dead_letter(&self) -> bool {
        TaskEnd::new(self.status, self.error.as_ref()) == Some(TaskEnd::Dead)
    }
}

/// A queue's message: a hint that a task may be ready. The table decides whether there is work.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    pub tenant: Tenant,
    pub id: TaskId,
    /// The task's generation when the message was sent.
    pub generation: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_status_has_one_name_in_code_in_the_table_and_on_the_wire() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(Status::named(status.as_str()), Some(status));
        }
    }

    #[test]
    fn an_attempt_without_an_outcome_runs_or_was_cancelled_or_lost() {
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
        for attribute in [r#""modality":"text""#, r#""suspicion":0"#] {
            assert!(written.contains(attribute), "{written}");
        }
        assert_eq!(serde_json::from_str::<Task>(&written).unwrap(), task);
    }
}

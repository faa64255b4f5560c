//! Every transition of a task. Each is one conditional [`Write`], and no other code changes a task.
//!
//! ```text
//! blocked --release--> pending --claim--> processing --complete------------> completed
//!                         ^                |      |----fail, fail_exhausted--> failed
//!                         |-retry, reclaim-|
//! blocked, pending, processing --cancel--> cancelled          failed, cancelled --redrive--> pending
//! ```
//!
//! # What the fence protects
//!
//! A worker can be frozen for longer than its lease. The sweeper then reclaims the task, and a second worker runs it. When the
//! first worker wakes up, it would write the end of an attempt that is no longer its own.
//!
//! Therefore every transition that gives a task to somebody else or takes it away increments its `fence`: claim, reclaim,
//! fail_exhausted, cancel and redrive. A worker can renew its lease or end its attempt only with the fence that its claim
//! returned (the condition `Task::held`). So a stale worker's write is refused, and a task reaches one final status per
//! generation.
//!
//! Two more numbers restrict the claim itself. A message of an older `generation` claims nothing, and neither does a message for
//! a task whose `attempt` has reached `max_attempts`.
//!
//! Safety does not depend on clocks. They only say when a transition is worth a try: when a back-off looks over, or a lease
//! looks expired. A wrong clock makes a transition early or late, but never lets a stale worker write.

mod claim;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::task::MAX_HISTORY;
use crate::write::{Change, Condition, Field, Write};
use crate::{Attempt, Failure, FailureKind, Finished, Outcome, RunError, Status, StoredResult, Task};

pub use claim::{ClaimRefusal, Isolation, claim};

/// The difference between two machines' clocks that a claim tolerates. Without it, a message that is delivered a moment early
/// would cost one of its three receives.
pub const CLOCK_MARGIN: Duration = Duration::from_secs(1);

/// Cancels any task that is not final, at once. A worker that runs it finds out when its next write is refused.
#[must_use]
pub fn cancel(now: Timestamp) -> Write {
    let open = Status::ALL.into_iter().filter(|status| !status.is_final());
    Write {
        condition: Condition::Any(open.map(status).collect()),
        changes: become_final(
            Status::Cancelled,
            now,
            [Change::Add(Field::Fence, 1), Change::Remove(Field::NextAttemptAt)],
        ),
    }
}

impl Task {
    /// Extends the lease of the worker that claimed this task.
    #[must_use]
    pub fn renew(&self, lease_until: Timestamp) -> Write {
        Write {
            condition: self.held(),
            changes: vec![set(Field::LeaseUntil, millis(lease_until))],
        }
    }

    /// Ends the attempt that this task was claimed for, and completes the task.
    #[must_use]
    pub fn complete(&self, finished: &Finished, now: Timestamp) -> Write {
        let result = match &finished.result {
            StoredResult::Inline(result) => set(Field::Result, json(result)),
            StoredResult::Object(object) => set(Field::ResultObject, json(object)),
        };
        let more = [
            result,
            set(Field::Report, json(&finished.report)),
            set(Field::ConsecutiveCrashes, 0),
            self.end_attempt(Outcome::Completed, None, now),
            Change::Remove(Field::Error),
        ];
        Write {
            condition: self.held(),
            changes: become_final(Status::Completed, now, more),
        }
    }

    /// Ends the attempt that this task was claimed for, and lets another begin at `not_before`. A throttled or interrupted
    /// attempt is not spent, and a lost one only if it ran isolated. `due_at` moves the sweeper's next check; `None` leaves it where it is.
    #[must_use]
    pub fn schedule_retry(
        &self,
        failure: &Failure,
        outcome: Outcome,
        not_before: Timestamp,
        due_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Write {
        // An attempt that was stopped counts like a crash, so that the next one runs isolated.
        let consecutive_crashes = match outcome {
            Outcome::Timeout | Outcome::Interrupted | Outcome::Lost => self.consecutive_crashes,
            _ => 0,
        };
        let mut changes = vec![
            set_status(Status::Pending),
            set(Field::Error, json(failure)),
            set(Field::ConsecutiveCrashes, consecutive_crashes),
            set(Field::NextAttemptAt, millis(not_before)),
            set(Field::UpdatedAt, millis(now)),
            self.end_attempt(outcome, Some(failure), now),
            Change::Remove(Field::LeaseUntil),
        ];
        let is_spent = match outcome {
            Outcome::Throttled | Outcome::Interrupted => false,
            Outcome::Lost => self.is_isolated(),
            _ => true,
        };
        if !is_spent {
            changes.push(Change::Add(Field::Attempt, -1));
        }
        if outcome == Outcome::Throttled {
            changes.push(Change::Add(Field::Throttles, 1));
        }
        changes.extend(due_at.map(|due_at| set(Field::DueAt, millis(due_at))));
        Write {
            condition: self.held(),
            changes,
        }
    }

    /// Ends the attempt that this task was claimed for, and fails the task.
    #[must_use]
    pub fn fail(&self, failure: &Failure, outcome: Outcome, now: Timestamp) -> Write {
        Write {
            condition: self.held(),
            changes: self.failure_changes(failure, outcome, now),
        }
    }

    /// Fails a task that has no attempt left and whose last attempt did not report its own end.
    #[must_use]
    pub fn fail_exhausted(&self, now: Timestamp) -> Write {
        let failure = RunError::crashed().into_failure(FailureKind::Exhausted);
        let mut changes = self.failure_changes(&failure, Outcome::Lost, now);
        changes.push(Change::Add(Field::Fence, 1));
        Write {
            condition: self.abandoned(now),
            changes,
        }
    }

    /// Makes a task pending again whose worker let the lease expire. The attempt is spent only if it ran isolated. `due_at`
    /// moves the sweeper's next check; `None` leaves it where it is.
    #[must_use]
    pub fn reclaim(&self, due_at: Option<Timestamp>, now: Timestamp) -> Write {
        let failure = RunError::crashed().into_failure(FailureKind::Transient);
        let mut changes = vec![
            set_status(Status::Pending),
            Change::Add(Field::Fence, 1),
            set(Field::Error, json(&failure)),
            set(Field::UpdatedAt, millis(now)),
            self.end_attempt(Outcome::Lost, Some(&failure), now),
            Change::Remove(Field::LeaseUntil),
        ];
        if !self.is_isolated() {
            changes.push(Change::Add(Field::Attempt, -1));
        }
        changes.extend(due_at.map(|due_at| set(Field::DueAt, millis(due_at))));
        Write {
            condition: self.abandoned(now),
            changes,
        }
    }

    /// Gives a failed or cancelled task a new generation with all its attempts. The item is stored until `expires_at`. An input
    /// in the payload bucket is deleted by its own age.
    #[must_use]
    pub fn redrive(&self, due_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> Write {
        Write {
            condition: Condition::All(vec![
                Condition::Any(vec![status(Status::Failed), status(Status::Cancelled)]),
                is(Field::Generation, self.generation),
                is(Field::Fence, self.fence),
            ]),
            changes: vec![
                set_status(Status::Pending),
                Change::Add(Field::Generation, 1),
                Change::Add(Field::Fence, 1),
                set(Field::Attempt, 0),
                set(Field::ConsecutiveCrashes, 0),
                set(Field::Throttles, 0),
                set(
                    Field::History,
                    json(&newest_attempts(self.history_with_outcomes())),
                ),
                set(Field::RedrivenAt, millis(now)),
                set(Field::UpdatedAt, millis(now)),
                set(Field::DueShard, self.id.shard().to_string()),
                set(Field::DueAt, millis(due_at)),
                set(Field::ExpiresAt, expires_at.as_second()),
                Change::Remove(Field::Error),
                Change::Remove(Field::NextAttemptAt),
                Change::Remove(Field::FailedTenantShard),
            ],
        }
    }

    /// Makes a blocked task pending, once the tasks that it waits for have completed. The API creates no blocked tasks yet.
    #[must_use]
    pub fn release(&self, due_at: Timestamp, now: Timestamp) -> Write {
        Write {
            condition: Condition::All(vec![
                status(Status::Blocked),
                is(Field::Generation, self.generation),
            ]),
            changes: vec![
                set_status(Status::Pending),
                set(Field::DueAt, millis(due_at)),
                set(Field::UpdatedAt, millis(now)),
            ],
        }
    }

    /// Moves the sweeper's next check to `due_at`, unless somebody has claimed the task or moved the check since.
    #[must_use]
    pub fn defer_check(&self, due_at: Timestamp) -> Write {
        let unchanged = match self.due_at {
            Some(due_at) => is(Field::DueAt, millis(due_at)),
            None => Condition::Absent(Field::DueAt),
        };
        Write {
            condition: Condition::All(vec![unchanged, is(Field::Fence, self.fence)]),
            changes: vec![set(Field::DueAt, millis(due_at))],
        }
    }

    /// The task is running, and the claim that returned this task is the newest. This is the condition that the fence stands for.
    fn held(&self) -> Condition {
        Condition::All(vec![status(Status::Processing), is(Field::Fence, self.fence)])
    }

    /// The claim that this task shows is still the newest, and its lease has expired.
    fn abandoned(&self, now: Timestamp) -> Condition {
        Condition::All(vec![
            self.held(),
            Condition::Below(Field::LeaseUntil, millis(now)),
        ])
    }

    fn failure_changes(&self, failure: &Failure, outcome: Outcome, now: Timestamp) -> Vec<Change> {
        let partition = self.id.shard().partition(&self.tenant);
        let more = [
            set(Field::Error, json(failure)),
            set(Field::FailedTenantShard, partition),
            self.end_attempt(outcome, Some(failure), now),
        ];
        become_final(Status::Failed, now, more)
    }

    /// Writes the last attempt's end into the history, as a whole. The condition on the fence guarantees that nobody has added
    /// an attempt since this task was read.
    fn end_attempt(&self, outcome: Outcome, failure: Option<&Failure>, now: Timestamp) -> Change {
        let mut history = self.history.clone();
        if let Some(attempt) = history.last_mut() {
            attempt.ended_at = Some(now);
            attempt.outcome = Some(outcome);
            attempt.error = failure.map(Failure::brief);
        }
        set(Field::History, json(&newest_attempts(history)))
    }
}

fn newest_attempts(mut history: Vec<Attempt>) -> Vec<Attempt> {
    history.drain(..history.len().saturating_sub(MAX_HISTORY));
    history
}

/// The changes that make a task final, and take it from the index of tasks in flight.
fn become_final(to: Status, now: Timestamp, more: impl IntoIterator<Item = Change>) -> Vec<Change> {
    let mut changes = vec![
        set_status(to),
        set(Field::UpdatedAt, millis(now)),
        Change::Remove(Field::LeaseUntil),
        Change::Remove(Field::DueShard),
        Change::Remove(Field::DueAt),
    ];
    changes.extend(more);
    changes
}

fn status(status: Status) -> Condition {
    is(Field::Status, status.as_str())
}

fn is(field: Field, value: impl Into<Value>) -> Condition {
    Condition::Is(field, value.into())
}

fn set_status(status: Status) -> Change {
    set(Field::Status, status.as_str())
}

fn set(field: Field, value: impl Into<Value>) -> Change {
    Change::Set(field, value.into())
}

fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

fn json(value: &impl serde::Serialize) -> Value {
    // Serialization fails only for maps whose keys are not strings, which none of these types has.
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;

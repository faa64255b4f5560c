//! Every move of a task, each one conditional write. There is no other way to change one.
//!
//! ```text
//! blocked --release--> pending --claim--> processing --complete--> completed
//!                         ^                   |------fail--------> failed
//!                         |--retry, reclaim--|
//! blocked, pending, processing --cancel--> cancelled          failed, cancelled --redrive--> pending
//! ```
//!
//! What makes them safe: only the newest claim's holder may end an attempt (`fence`), only the newest generation's message
//! may claim, and no move but `redrive` leaves a final status. No clock decides any of that: clocks only say when it is
//! worth to try.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::task::{MAX_HISTORY, Outcome};
use crate::write::{Change, Condition, Field, Write};
use crate::{Attempt, Failure, FailureKind, Message, ObjectRef, Report, RunError, Status, Task, TaskResult};

/// Two machines' clocks may differ by this much. A message that comes a little early is not worth a receive.
pub const CLOCK_MARGIN: Duration = Duration::from_secs(1);

/// How a worker means to run what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Together with others, which a crash would take along.
    Batched,
    /// By itself.
    Isolated,
}

/// Why a claim was refused, read off the item that refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimRefusal {
    /// Nothing is left to do: it is final, waits for other tasks, or is of another generation than the message.
    NothingToDo,
    /// Not free before then: it rests after a failure, or another worker holds it.
    NotBefore(Timestamp),
    /// Its last attempt did not end by itself: claim it as [`Isolation::Isolated`] when nothing else is at stake.
    Quarantined {
        /// How many attempts in a row did not.
        consecutive_crashes: u32,
    },
    /// Its attempts are spent and the last one ended without a word: [`Task::fail_exhausted`] it.
    AttemptsExhausted,
}

/// An attempt's result, or where it lies.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredResult {
    /// In the item.
    Inline(TaskResult),
    /// In the payload bucket.
    Object(ObjectRef),
}

/// What a task is completed with.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The result.
    pub result: StoredResult,
    /// How it came about.
    pub report: Report,
}

/// Takes the task that a message rings for until `lease_until`: nobody else can hold it then.
#[must_use]
pub fn claim(message: &Message, isolation: Isolation, now: Timestamp, lease_until: Timestamp) -> Write {
    let rested = Condition::Any(vec![
        Condition::Absent(Field::NextAttemptAt),
        Condition::AtMost(Field::NextAttemptAt, millis(now + CLOCK_MARGIN)),
    ]);
    let mut all = vec![
        is(Field::Generation, message.generation),
        Condition::BelowField(Field::Attempt, Field::MaxAttempts),
        Condition::Any(vec![
            Condition::All(vec![status(Status::Pending), rested]),
            Condition::All(vec![
                status(Status::Processing),
                Condition::Below(Field::LeaseUntil, millis(now)),
            ]),
        ]),
    ];
    if isolation == Isolation::Batched {
        all.push(is(Field::ConsecutiveCrashes, 0));
    }
    let begun = Attempt {
        generation: message.generation,
        started_at: now,
        ended_at: None,
        outcome: None,
        error: None,
    };
    Write {
        condition: Condition::All(all),
        changes: vec![
            set_status(Status::Processing),
            Change::Add(Field::Attempt, 1),
            Change::Add(Field::Fence, 1),
            Change::Add(Field::ConsecutiveCrashes, 1),
            Change::Append(Field::History, json(&begun)),
            set(Field::LeaseUntil, millis(lease_until)),
            set(Field::UpdatedAt, millis(now)),
            Change::Remove(Field::NextAttemptAt),
        ],
    }
}

/// Ends any task that is not final, at once. Whoever runs it is refused when it would write its end.
#[must_use]
pub fn cancel(now: Timestamp) -> Write {
    let open = Status::ALL.into_iter().filter(|status| !status.is_final());
    Write {
        condition: Condition::Any(open.map(status).collect()),
        changes: finally(
            Status::Cancelled,
            now,
            [Change::Add(Field::Fence, 1), Change::Remove(Field::NextAttemptAt)],
        ),
    }
}

impl Task {
    /// Why this task, as the table showed it, refused a claim.
    #[must_use]
    pub fn claim_refusal(&self, message: &Message, now: Timestamp) -> ClaimRefusal {
        if self.generation != message.generation {
            return ClaimRefusal::NothingToDo;
        }
        let not_before = match self.status {
            Status::Pending => self.next_attempt_at.filter(|until| *until > now + CLOCK_MARGIN),
            Status::Processing => self.lease_until.filter(|until| *until >= now),
            Status::Blocked | Status::Completed | Status::Failed | Status::Cancelled => {
                return ClaimRefusal::NothingToDo;
            }
        };
        match not_before {
            Some(until) => ClaimRefusal::NotBefore(until),
            None if self.attempt >= self.max_attempts => ClaimRefusal::AttemptsExhausted,
            None => ClaimRefusal::Quarantined {
                consecutive_crashes: self.consecutive_crashes,
            },
        }
    }

    /// Lets the worker that claimed this task hold it longer.
    #[must_use]
    pub fn renew(&self, lease_until: Timestamp) -> Write {
        Write {
            condition: self.held(),
            changes: vec![set(Field::LeaseUntil, millis(lease_until))],
        }
    }

    /// Ends the attempt that this task was claimed for: it has its result.
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
            self.history_with(Outcome::Completed, None, now),
            Change::Remove(Field::Error),
        ];
        Write {
            condition: self.held(),
            changes: finally(Status::Completed, now, more),
        }
    }

    /// Ends the attempt that this task was claimed for: it failed, and another follows after `not_before`. A throttled
    /// attempt is not spent. `due_at` is when the janitor looks, where that must be put off.
    #[must_use]
    pub fn schedule_retry(
        &self,
        failure: &Failure,
        outcome: Outcome,
        not_before: Timestamp,
        due_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Write {
        // An attempt that was cut off leaves its consecutive_crashes behind, so that the next one runs apart from other tasks.
        let consecutive_crashes = if outcome == Outcome::Timeout {
            self.consecutive_crashes
        } else {
            0
        };
        let mut changes = vec![
            set_status(Status::Pending),
            set(Field::Error, json(failure)),
            set(Field::ConsecutiveCrashes, consecutive_crashes),
            set(Field::NextAttemptAt, millis(not_before)),
            set(Field::UpdatedAt, millis(now)),
            self.history_with(outcome, Some(failure), now),
            Change::Remove(Field::LeaseUntil),
        ];
        if outcome == Outcome::Throttled {
            changes.extend([Change::Add(Field::Attempt, -1), Change::Add(Field::Throttles, 1)]);
        }
        changes.extend(due_at.map(|due_at| set(Field::DueAt, millis(due_at))));
        Write {
            condition: self.held(),
            changes,
        }
    }

    /// Ends the attempt that this task was claimed for, and the task with it.
    #[must_use]
    pub fn fail(&self, failure: &Failure, outcome: Outcome, now: Timestamp) -> Write {
        Write {
            condition: self.held(),
            changes: self.failed(failure, outcome, now),
        }
    }

    /// Ends a task whose attempts are spent and whose last one ended without a word.
    #[must_use]
    pub fn fail_exhausted(&self, now: Timestamp) -> Write {
        let failure = RunError::crashed().into_failure(FailureKind::Exhausted);
        let mut changes = self.failed(&failure, Outcome::Lost, now);
        changes.push(Change::Add(Field::Fence, 1));
        Write {
            condition: self.abandoned(now),
            changes,
        }
    }

    /// Takes a task back from a worker whose lease has run out, for another attempt.
    #[must_use]
    pub fn reclaim(&self, due_at: Timestamp, now: Timestamp) -> Write {
        let failure = RunError::crashed().into_failure(FailureKind::Transient);
        Write {
            condition: self.abandoned(now),
            changes: vec![
                set_status(Status::Pending),
                Change::Add(Field::Fence, 1),
                set(Field::Error, json(&failure)),
                set(Field::UpdatedAt, millis(now)),
                set(Field::DueAt, millis(due_at)),
                self.history_with(Outcome::Lost, Some(&failure), now),
                Change::Remove(Field::LeaseUntil),
            ],
        }
    }

    /// Gives a failed or cancelled task a new generation of attempts. It is kept until `expires_at` from now on; an input
    /// in the bucket goes by its own age.
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
                set(Field::History, json(&newest(self.history_with_outcomes()))),
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

    /// Frees a task whose dependencies have completed.
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

    /// Has the janitor look again at another time, if nobody has changed that since.
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

    /// The caller's claim is the newest.
    fn held(&self) -> Condition {
        Condition::All(vec![status(Status::Processing), is(Field::Fence, self.fence)])
    }

    /// The claim that this task shows is still the newest, and its lease has run out.
    fn abandoned(&self, now: Timestamp) -> Condition {
        Condition::All(vec![
            self.held(),
            Condition::Below(Field::LeaseUntil, millis(now)),
        ])
    }

    fn failed(&self, failure: &Failure, outcome: Outcome, now: Timestamp) -> Vec<Change> {
        let partition = self.id.shard().partition(&self.tenant);
        let more = [
            set(Field::Error, json(failure)),
            set(Field::FailedTenantShard, partition),
            self.history_with(outcome, Some(failure), now),
        ];
        finally(Status::Failed, now, more)
    }

    /// The whole history, its last attempt ended. Under a condition on the fence nobody else can have added to it.
    fn history_with(&self, outcome: Outcome, failure: Option<&Failure>, now: Timestamp) -> Change {
        let mut history = self.history.clone();
        if let Some(attempt) = history.last_mut() {
            attempt.ended_at = Some(now);
            attempt.outcome = Some(outcome);
            attempt.error = failure.map(Failure::brief);
        }
        set(Field::History, json(&newest(history)))
    }
}

fn newest(mut history: Vec<Attempt>) -> Vec<Attempt> {
    history.drain(..history.len().saturating_sub(MAX_HISTORY));
    history
}

fn finally(to: Status, now: Timestamp, more: impl IntoIterator<Item = Change>) -> Vec<Change> {
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
    // Our own types, whose maps have text for keys: there is nothing in them that JSON can't say.
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;

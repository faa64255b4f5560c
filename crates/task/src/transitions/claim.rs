//! The claim, and what a refused one means.

use jiff::Timestamp;

use super::{CLOCK_MARGIN, is, json, millis, set, set_status, status};
use crate::write::{Change, Condition, Field, Write};
use crate::{Attempt, Message, Status, Task};

/// How a worker intends to run the task that it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In one process with other tasks, which a crash would end too. Quarantined tasks refuse such a claim.
    Batched,
    /// Alone in its process.
    Isolated,
}

/// Why a claim was refused. [`Task::claim_refusal`] reads it from the item that refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimRefusal {
    /// No message is needed: the task is final, blocked, or of another generation than the message.
    NothingToDo,
    /// The task can't be claimed before this time: it is backing off, or another worker holds its lease.
    NotBefore(Timestamp),
    /// The task's last attempt did not report its own end. Claim it as [`Isolation::Isolated`].
    Quarantined {
        /// How many attempts in a row did not report their own end.
        consecutive_crashes: u32,
    },
    /// The worker that ran the task let its lease expire. Apply [`Task::reclaim`], then claim it as [`Isolation::Isolated`].
    LeaseExpired,
    /// The worker that ran the task let its lease expire, and no attempt is left. Apply [`Task::fail_exhausted`].
    AttemptsExhausted,
}

/// Claims the task of a message until `lease_until`.
///
/// Of several workers that try at once, one succeeds: a claim changes the status that the condition requires.
#[must_use]
pub fn claim(message: &Message, isolation: Isolation, now: Timestamp, lease_until: Timestamp) -> Write {
    let mut all = vec![
        is(Field::Generation, message.generation),
        status(Status::Pending),
        Condition::BelowField(Field::Attempt, Field::MaxAttempts),
        Condition::Any(vec![
            Condition::Absent(Field::NextAttemptAt),
            Condition::AtMost(Field::NextAttemptAt, millis(now + CLOCK_MARGIN)),
        ]),
    ];
    if isolation == Isolation::Batched {
        all.push(is(Field::ConsecutiveCrashes, 0));
    }
    let attempt = Attempt {
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
            // Counted as a crash until the attempt reports its own end.
            Change::Add(Field::ConsecutiveCrashes, 1),
            Change::Append(Field::History, json(&attempt)),
            set(Field::LeaseUntil, millis(lease_until)),
            set(Field::UpdatedAt, millis(now)),
            Change::Remove(Field::NextAttemptAt),
        ],
    }
}

impl Task {
    /// Why this task, as the table returned it, refused a claim.
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
            None if self.status == Status::Pending => ClaimRefusal::Quarantined {
                consecutive_crashes: self.consecutive_crashes,
            },
            None if self.survives_crash() => ClaimRefusal::LeaseExpired,
            None => ClaimRefusal::AttemptsExhausted,
        }
    }

    /// Whether this running task was claimed as [`Isolation::Isolated`]. A batched claim requires that no attempt before it
    /// crashed, and counts itself.
    pub(super) fn is_isolated(&self) -> bool {
        self.consecutive_crashes > 1
    }

    /// Whether this running task may run again if its worker has crashed. A crash while it ran isolated was its own and spends
    /// the attempt. Any other may have been another task's.
    #[must_use]
    pub fn survives_crash(&self) -> bool {
        !self.is_isolated() || self.attempt < self.max_attempts
    }
}

//! What may become of a task, as docs/SEMANTICS.md says it, compared with each change that the store has recorded.
//!
//! The attempts are counted here by how their runs ended, not by what the task says.

use std::collections::BTreeMap;
use std::fmt::Debug;

use mesh_stats::{Record, Snapshot};
use mesh_task::{ErrorCode, Status, TaskId};

use crate::MAX_ATTEMPTS;
use crate::runner::{Attempted, Attempts};
use crate::steps::End;

/// A task as the changes up to now have left it.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) last: Snapshot,
    /// The attempts of this generation that are spent, without the running one.
    spent: u32,
    /// Whether the last attempt did not report its own end, or was stopped.
    is_quarantined: bool,
    /// How each generation ended.
    pub(crate) ends: BTreeMap<u32, Status>,
}

/// What follows from the end of an attempt.
struct Ended {
    spends: bool,
    quarantines: bool,
    /// Whether another attempt follows, if one is left.
    is_tried_again: bool,
    is_completed: bool,
}

impl Ended {
    const COMPLETED: Self = Self {
        is_completed: true,
        ..Self::FAILED
    };
    const FAILED: Self = Self {
        spends: true,
        quarantines: false,
        is_tried_again: false,
        is_completed: false,
    };
    const TRANSIENT: Self = Self {
        is_tried_again: true,
        ..Self::FAILED
    };
    const THROTTLED: Self = Self {
        spends: false,
        ..Self::TRANSIENT
    };

    /// The run was stopped, or its process ended.
    const fn stopped(spends: bool) -> Self {
        Self {
            spends,
            quarantines: true,
            ..Self::TRANSIENT
        }
    }
}

/// Follows every task through the changes, which are in the order in which they were made.
pub(crate) fn lives<'a>(
    records: impl Iterator<Item = &'a Record>,
    attempts: &Attempts,
) -> Result<BTreeMap<TaskId, Life>, String> {
    let mut lives = BTreeMap::<TaskId, Life>::new();
    for record in records {
        let new = record.new.clone().ok_or("a task was deleted")?;
        match (&record.old, lives.get_mut(&new.id)) {
            (None, None) => {
                let first = (new.status, new.generation, new.attempt, new.fence);
                require(first == (Status::Pending, 1, 0, 0), "the first state", &new)?;
                let life = Life {
                    last: new.clone(),
                    spent: 0,
                    is_quarantined: false,
                    ends: BTreeMap::new(),
                };
                lives.insert(new.id, life);
            }
            (Some(old), Some(life)) => {
                let is_last = state(old) == state(&life.last);
                require(
                    is_last,
                    "a change begins where the last one ended",
                    (old, &life.last),
                )?;
                life.change(new, attempts)?;
            }
            (old, life) => return Err(format!("created twice, or changed before: {old:?}, {life:?}")),
        }
    }
    Ok(lives)
}

impl Life {
    fn change(&mut self, new: Snapshot, attempts: &Attempts) -> Result<(), String> {
        let old = self.last.clone();
        if state(&old) != state(&new) {
            let context = format!("{old:?} -> {new:?}, {self:?}");
            self.transition(&old, &new, attempts)
                .map_err(|error| format!("{error}: {context}"))?;
        }
        self.last = new;
        Ok(())
    }

    fn transition(&mut self, old: &Snapshot, new: &Snapshot, attempts: &Attempts) -> Result<(), String> {
        let fence = new.fence - old.fence;
        if old.status.is_final() {
            let is_redrive = matches!(old.status, Status::Failed | Status::Cancelled)
                && (new.status, new.generation, fence) == (Status::Pending, old.generation + 1, 1);
            (self.spent, self.is_quarantined) = (0, false);
            return require(
                is_redrive && new.attempt == 0,
                "only a redrive leaves an end",
                fence,
            );
        }
        require(new.generation == old.generation, "the same generation", fence)?;
        if new.status.is_final() {
            let other = self.ends.insert(new.generation, new.status);
            require(other.is_none(), "a generation ends once", other)?;
        }
        match (old.status, new.status, fence) {
            (_, Status::Cancelled, 1) => return require(new.attempt == old.attempt, "a cancel", fence),
            (Status::Pending, Status::Processing, 1) => {
                require(self.spent < MAX_ATTEMPTS, "an attempt is left", self.spent)?;
                return require(new.attempt == self.spent + 1, "the claim counts", self.spent);
            }
            (Status::Processing, _, 0) => {
                let attempted = attempts.get(&(old.id, old.fence));
                let code = new.error.as_ref().map(|error| error.code.as_str());
                self.end(reported(attempted, code, self.is_quarantined)?, new)?;
            }
            // Nobody reported the end: the lease expired.
            (Status::Processing, Status::Pending | Status::Failed, 1) => {
                self.end(Ended::stopped(self.is_quarantined), new)?;
            }
            _ => return Err("not a transition".to_owned()),
        }
        require(new.attempt == self.spent, "the spent attempts", self.spent)
    }

    fn end(&mut self, ended: Ended, new: &Snapshot) -> Result<(), String> {
        self.spent += u32::from(ended.spends);
        self.is_quarantined = ended.quarantines;
        let has_attempt = !ended.spends || self.spent < MAX_ATTEMPTS;
        let expected = match ended {
            Ended {
                is_completed: true, ..
            } => Status::Completed,
            Ended {
                is_tried_again: true, ..
            } if has_attempt => Status::Pending,
            _ => Status::Failed,
        };
        require(new.status == expected, "the status after an attempt", expected)
    }
}

/// What a transition changes. Other writes change only when something is done.
fn state(task: &Snapshot) -> (Status, u32, u32, u64) {
    (task.status, task.generation, task.attempt, task.fence)
}

/// How an attempt ended whose worker wrote the end with this error code. `None` did not reach a runner.
fn reported(attempted: Option<&Attempted>, code: Option<&str>, is_isolated: bool) -> Result<Ended, String> {
    let is_stored = attempted.is_none_or(|attempted| attempted.end == End::LargeResult);
    let is = |wanted: ErrorCode| is_stored && code == Some(wanted.as_str());
    if is(ErrorCode::StorageUnavailable) {
        return Ok(Ended::TRANSIENT);
    }
    if is(ErrorCode::Throttled) {
        return Ok(Ended::THROTTLED);
    }
    let attempted = attempted.ok_or("an end without a run")?;
    require(
        !(is_isolated && attempted.is_shared),
        "a quarantined task runs alone",
        attempted,
    )?;
    Ok(match attempted.end {
        End::Result | End::LargeResult => Ended::COMPLETED,
        End::Permanent | End::Panic => Ended::FAILED,
        End::Transient => Ended::TRANSIENT,
        End::Throttled => Ended::THROTTLED,
        End::Timeout => Ended::stopped(!attempted.is_shared),
        End::Lost => Ended::stopped(is_isolated),
        End::Crash => return Err("a process that ended wrote something".to_owned()),
    })
}

/// An error that names what does not hold.
pub(crate) fn require(holds: bool, what: &str, context: impl Debug) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("broken: {what} ({context:?})"))
    }
}

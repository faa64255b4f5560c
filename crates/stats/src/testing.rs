//! Tasks and stream records for the tests of this crate.

use std::time::Duration;

use jiff::Timestamp;
use mesh_task::{Status, TaskId, TaskType, Tenant};

use crate::{Record, Sequence, Snapshot};

/// The start of a minute.
pub(crate) const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A task that was accepted at [`NOON`].
pub(crate) fn task(status: Status) -> Snapshot {
    Snapshot {
        id: TaskId::generate(),
        tenant: Tenant::first(),
        task_type: TaskType::Sentiment,
        status,
        generation: 1,
        attempt: 0,
        fence: 0,
        created_at: NOON,
        updated_at: NOON,
        next_attempt_at: None,
        error: None,
        expires_at: None,
    }
}

/// The task after a transition.
pub(crate) fn next(task: &Snapshot, status: Status, after: Duration) -> Snapshot {
    let is_claim = status == Status::Processing;
    Snapshot {
        status,
        attempt: task.attempt + u32::from(is_claim),
        fence: task.fence + u64::from(is_claim),
        updated_at: task.updated_at + after,
        next_attempt_at: None,
        ..task.clone()
    }
}

pub(crate) fn sequence(number: u64) -> Sequence {
    number.to_string().try_into().unwrap()
}

pub(crate) fn record(number: u64, old: Option<&Snapshot>, new: Option<&Snapshot>) -> Record {
    Record {
        sequence: sequence(number),
        written_at: NOON,
        old: old.cloned(),
        new: new.cloned(),
    }
}

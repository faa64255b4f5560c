//! Carries out what one task needs.

use jiff::Timestamp;
use mesh_backend::{BackendError, WriteOutcome};
use mesh_task::{Message, SweepAction, Task};

use crate::Sweeper;

/// What was done to a task.
#[derive(Debug)]
pub(crate) enum SweepOutcome {
    /// At most its next check was deferred; no message is to be sent.
    Deferred,
    /// It is pending, and this message is to be sent.
    Requeue(Message),
    /// Its lease had expired; it is pending again, and this message is to be sent.
    Reclaimed(Message),
    /// It failed: its attempts were exhausted.
    Failed,
}

impl Sweeper {
    /// Applies an action to a task that was just read. If somebody else has changed the task since, nothing is done: the
    /// next check sees it.
    pub(crate) async fn sweep(
        &self,
        task: &Task,
        action: SweepAction,
        now: Timestamp,
    ) -> Result<SweepOutcome, BackendError> {
        let (write, outcome) = match action {
            SweepAction::Nothing => return Ok(SweepOutcome::Deferred),
            SweepAction::DeferCheck(due_at) => (task.defer_check(due_at), SweepOutcome::Deferred),
            SweepAction::Requeue(due_at) => (task.defer_check(due_at), SweepOutcome::Requeue(task.message())),
            SweepAction::Reclaim(due_at) => (
                task.reclaim(Some(due_at), now),
                SweepOutcome::Reclaimed(task.message()),
            ),
            SweepAction::FailExhausted => (task.fail_exhausted(now), SweepOutcome::Failed),
        };
        match self.tasks.write(&task.tenant, task.id, &write).await? {
            WriteOutcome::Applied(_) => {
                log(task, &outcome);
                Ok(outcome)
            }
            WriteOutcome::ConditionFailed(_) => Ok(SweepOutcome::Deferred),
        }
    }
}

fn log(task: &Task, outcome: &SweepOutcome) {
    let (event, message) = match outcome {
        SweepOutcome::Deferred => ("task_check_deferred", "the task's next check was deferred"),
        SweepOutcome::Requeue(_) => ("task_requeued", "the task is requeued: its message may be lost"),
        SweepOutcome::Reclaimed(_) => (
            "task_reclaimed",
            "the task was reclaimed: its worker's lease had expired",
        ),
        SweepOutcome::Failed => (
            "task_exhausted",
            "the task failed: its last attempt crashed and no attempt is left",
        ),
    };
    tracing::info!(
        event,
        task_id = %task.id,
        attempt = task.attempt,
        correlation_id = task.correlation_id,
        "{message}"
    );
}

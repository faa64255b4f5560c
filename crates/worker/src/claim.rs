//! A worker's claim on a task: taking it, renewing its lease, and what becomes of a task whose last worker let its lease expire.

use jiff::Timestamp;
use mesh_backend::WriteOutcome;
use mesh_task::{ClaimRefusal, Isolation, Task};

use crate::delivery::{Delivery, Disposition};
use crate::{Invocation, Runner, Worker};

/// What follows from an attempt to claim a message's task.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The task is this worker's: run it.
    Claimed(Box<Task>),
    /// The task must run isolated: claim it again after the rest of the batch is settled.
    Quarantined { consecutive_crashes: u32 },
    /// There is nothing to run now.
    Refused(Disposition),
}

impl<R: Runner> Worker<R> {
    /// Claims the task of a message for one lease, or until the invocation must have ended.
    pub(crate) async fn claim(
        &self,
        delivery: &Delivery,
        isolation: Isolation,
        invocation: Invocation,
    ) -> Claim {
        let message = &delivery.message;
        let now = Timestamp::now();
        let lease_until = invocation.lease_until().min(now + self.lease);
        let claim = mesh_task::claim(message, isolation, now, lease_until);
        let task = match self.tasks.write(&message.tenant, message.id, &claim).await {
            Ok(WriteOutcome::Applied(task)) => {
                delivery.record(&task);
                self.batch_metrics.waited(task.waited());
                return Claim::Claimed(task);
            }
            Ok(WriteOutcome::ConditionFailed(task)) => task,
            Err(error) => {
                tracing::error!(event = "claim_failed", %error, "the task could not be claimed");
                let delay = self.policies.general.backoff(delivery.receives, fastrand::f64());
                return Claim::Refused(self.release(delivery, delay).await);
            }
        };
        let refusal = task.map(|task| (task.claim_refusal(message, now), task));
        match refusal {
            Some((ClaimRefusal::Quarantined { consecutive_crashes }, _)) => {
                Claim::Quarantined { consecutive_crashes }
            }
            Some((ClaimRefusal::NotBefore(time), _)) => {
                let delay = (time - now).try_into().unwrap_or_default();
                Claim::Refused(self.release(delivery, delay).await)
            }
            Some((ClaimRefusal::LeaseExpired, task)) => self.reclaim(&task, now).await,
            Some((ClaimRefusal::AttemptsExhausted, task)) => {
                Claim::Refused(self.fail_exhausted(delivery, &task, now).await)
            }
            Some((ClaimRefusal::NothingToDo, _)) | None => {
                tracing::info!(event = "message_obsolete", "nothing left to do for this message");
                Claim::Refused(Disposition::Delete)
            }
        }
    }

    /// Reclaims a task whose worker let the lease expire. It may have crashed its worker, so it is to be claimed isolated.
    async fn reclaim(&self, task: &Task, now: Timestamp) -> Claim {
        // The message at hand is this worker's, so the sweeper's next check stays where it is.
        let reclaim = task.reclaim(None, now);
        match self.tasks.write(&task.tenant, task.id, &reclaim).await {
            Ok(WriteOutcome::Applied(task)) => {
                tracing::info!(
                    event = "task_reclaimed",
                    attempt = task.attempt,
                    correlation_id = task.correlation_id,
                    "the task was reclaimed: its worker's lease had expired"
                );
                Claim::Quarantined {
                    consecutive_crashes: task.consecutive_crashes,
                }
            }
            // Somebody has changed the task since. The next receive of the message finds out what is left to do.
            Ok(WriteOutcome::ConditionFailed(_)) => Claim::Refused(Disposition::Retain),
            Err(error) => {
                tracing::error!(event = "task_not_reclaimed", %error, "the task could not be reclaimed");
                Claim::Refused(Disposition::Retain)
            }
        }
    }

    /// Fails a task that has no attempt left and whose last attempt crashed.
    async fn fail_exhausted(&self, delivery: &Delivery, task: &Task, now: Timestamp) -> Disposition {
        let failed = task.fail_exhausted(now);
        match self.tasks.write(&task.tenant, task.id, &failed).await {
            Ok(WriteOutcome::Applied(task)) => {
                tracing::warn!(
                    event = "task_exhausted",
                    attempt = task.attempt,
                    correlation_id = task.correlation_id,
                    "the task failed: its last attempt crashed and no attempt is left"
                );
                self.dead_letter(delivery).await
            }
            // Somebody has changed the task since. The next receive of the message finds out what is left to do.
            Ok(WriteOutcome::ConditionFailed(_)) => Disposition::Retain,
            Err(error) => {
                tracing::error!(event = "task_end_not_written", %error, "the task's failure could not be written");
                Disposition::Retain
            }
        }
    }

    /// Renews the claim of a running task for one more lease.
    ///
    /// Returns what becomes of the message if the task is no longer this worker's: it was cancelled, or reclaimed after a pause.
    pub(crate) async fn renew(&self, task: &Task) -> Option<Disposition> {
        if !self.runner.renews_lease(task) {
            return None;
        }
        let renew = task.renew(Timestamp::now() + self.lease);
        match self.tasks.write(&task.tenant, task.id, &renew).await {
            Ok(WriteOutcome::Applied(_)) => None,
            Ok(WriteOutcome::ConditionFailed(newest)) => {
                tracing::info!(
                    event = "claim_lost",
                    task_id = %task.id,
                    correlation_id = task.correlation_id,
                    "a running task is no longer this worker's"
                );
                Some(Disposition::after_lost_claim(task, newest.as_deref()))
            }
            Err(error) => {
                tracing::warn!(
                    event = "lease_not_renewed",
                    task_id = %task.id,
                    %error,
                    "the lease of a running task was not renewed"
                );
                None
            }
        }
    }
}

//! Writes what came of an attempt, and tells the queue.

use std::time::Duration;

use jiff::Timestamp;
use mesh_task::{FailureKind, RunError, Settlement, Task, TaskResult};

use crate::ring::{Answer, Ring};
use crate::{Runner, Worker};

impl<R: Runner> Worker<R> {
    /// Ends the attempt that `task` was claimed for.
    pub(crate) async fn settle(
        &self,
        ring: &Ring,
        task: &Task,
        outcome: Result<TaskResult, RunError>,
    ) -> Answer {
        let outcome = outcome.and_then(TaskResult::bounded);
        if let Err(error) = &outcome {
            tracing::info!(task = %task.id, attempt = task.attempt, code = error.code, "an attempt failed");
        }
        let settlement = Settlement::of(outcome, task.attempt, &self.policy, fastrand::f64());
        let now = Timestamp::now();
        let landed = match &settlement {
            Settlement::Completed(result) => self.table.complete(task, result, now).await,
            Settlement::Retry {
                failure,
                delay,
                cut_off,
            } => self.table.retry(task, failure, now + *delay, *cut_off, now).await,
            Settlement::Failed(failure) => self.table.fail(task, failure, now).await,
        };
        match landed {
            Ok(true) => self.tell_queue(ring, &settlement).await,
            Ok(false) => {
                // The message may be the newer claim's by now: it is not this worker's to delete.
                tracing::warn!(task = %task.id, fence = task.fence, "a stale worker's finish was refused");
                Answer::Keep
            }
            Err(error) => {
                tracing::error!(task = %task.id, %error, "an attempt's end could not be written; its lease runs out");
                Answer::Keep
            }
        }
    }

    async fn tell_queue(&self, ring: &Ring, settlement: &Settlement) -> Answer {
        match settlement {
            Settlement::Retry { delay, .. } => self.put_back(ring, *delay).await,
            // Shown at once after its last receive, SQS moves it to the dead-letter queue.
            Settlement::Failed(failure)
                if failure.kind != FailureKind::Permanent && ring.receives >= self.max_receives =>
            {
                self.hide(&ring.receipt_handle, Duration::ZERO).await;
                Answer::Keep
            }
            Settlement::Completed(_) | Settlement::Failed(_) => Answer::Done,
        }
    }

    /// Has the message delivered again after a delay. Its last receive is never wasted on waiting: SQS would take it
    /// for a dead letter, so a fresh message takes its place.
    pub(crate) async fn put_back(&self, ring: &Ring, delay: Duration) -> Answer {
        if ring.receives < self.max_receives {
            self.hide(&ring.receipt_handle, delay).await;
            return Answer::Keep;
        }
        match self.queue.send(&ring.message, delay).await {
            Ok(()) => Answer::Done,
            Err(error) => {
                tracing::error!(task = %ring.message.id, %error, "a fresh message could not be sent; the old one is kept");
                Answer::Keep
            }
        }
    }

    pub(crate) async fn hide(&self, receipt_handle: &str, delay: Duration) {
        if let Err(error) = self.queue.hide(receipt_handle, delay).await {
            tracing::warn!(%error, "a message keeps its visibility timeout");
        }
    }
}

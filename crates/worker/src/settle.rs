//! Writes what came of an attempt, and tells the queue.

use std::time::Duration;

use jiff::Timestamp;
use mesh_aws::{MAX_DELAY, WriteOutcome};
use mesh_task::{
    FailureKind, Finished, ObjectRef, Report, RunError, RunOutput, Settlement, StoredResult, Task, code,
};

use crate::delivery::{Answer, Delivery};
use crate::{Runner, Worker};

impl<R: Runner> Worker<R> {
    /// Ends the attempt that `task` was claimed for, whose input came after `fetch`.
    pub(crate) async fn settle(
        &self,
        delivery: &Delivery,
        task: &Task,
        fetch: Duration,
        outcome: Result<RunOutput, RunError>,
    ) -> Answer {
        let settling = self.settle_soundly(delivery, task, fetch, outcome);
        #[cfg(feature = "faults")]
        let settling = crate::faults::around(task, settling);
        settling.await
    }

    async fn settle_soundly(
        &self,
        delivery: &Delivery,
        task: &Task,
        fetch: Duration,
        outcome: Result<RunOutput, RunError>,
    ) -> Answer {
        let outcome = match outcome {
            Ok(output) => self.store(task, fetch, output).await,
            Err(error) => Err(error),
        };
        let code = outcome.as_ref().err().map(|error| error.code);
        let policy = self.policies.of(task.task_type);
        let settlement = Settlement::of(outcome, task, policy, fastrand::f64());
        let now = Timestamp::now();
        let write = match &settlement {
            Settlement::Completed(finished) => task.complete(finished, now),
            Settlement::Retry {
                failure,
                outcome,
                delay,
            } => {
                // No message waits for longer than SQS can hide it: the janitor deliveries then.
                let due_at = (*delay > MAX_DELAY).then(|| now + *delay);
                task.schedule_retry(failure, *outcome, now + *delay, due_at, now)
            }
            Settlement::Failed { failure, outcome } => task.fail(failure, *outcome, now),
        };
        tracing::info!(
            task_type = task.task_type.as_str(),
            wait_ms = u64::try_from(task.waited().as_millis()).unwrap_or(u64::MAX),
            settlement = settlement_name(&settlement),
            code,
            "an attempt ended"
        );
        match self.table.write(&task.tenant, task.id, &write).await {
            Ok(WriteOutcome::Applied(_)) => {
                self.batch_metrics.settled(&settlement);
                self.acknowledge(delivery, &settlement).await
            }
            Ok(WriteOutcome::ConditionFailed(standing)) => {
                tracing::warn!(fence = task.fence, "a stale worker's finish was refused");
                self.batch_metrics.refused();
                after_loss(standing.as_deref())
            }
            Err(error) => {
                tracing::error!(%error, "an attempt's end could not be written; its lease runs out");
                self.release(delivery, self.lease).await
            }
        }
    }

    /// Puts a result that the item can't hold into the bucket. The input came after `fetch`.
    async fn store(&self, task: &Task, fetch: Duration, output: RunOutput) -> Result<Finished, RunError> {
        let report = Report::of(&output, task.waited(), fetch);
        let result = match output.result.to_object()? {
            None => StoredResult::Inline(output.result),
            Some(json) => StoredResult::Object(self.put_result(task, json).await?),
        };
        Ok(Finished { result, report })
    }

    async fn put_result(&self, task: &Task, json: Vec<u8>) -> Result<ObjectRef, RunError> {
        self.payloads.put_result(task, json).await.map_err(|error| {
            tracing::warn!(%error, "a result could not be stored");
            if error.is_throttling() {
                RunError::throttled(code::THROTTLED, "the payload bucket is asked too often", None)
            } else {
                RunError::transient(
                    code::STORAGE_UNAVAILABLE,
                    "the storage that takes the result did not answer",
                )
            }
        })
    }

    async fn acknowledge(&self, delivery: &Delivery, settlement: &Settlement) -> Answer {
        match settlement {
            Settlement::Retry { delay, .. } if *delay <= MAX_DELAY => self.release(delivery, *delay).await,
            Settlement::Failed { failure, .. } if failure.kind != FailureKind::Permanent => {
                self.dead_letter(delivery).await
            }
            Settlement::Retry { .. } | Settlement::Completed(_) | Settlement::Failed { .. } => Answer::Done,
        }
    }

    /// Lets the message of a task that is a dead letter now take its way: shown at once after its last receive, it goes
    /// to the dead-letter queue, whose numbers people watch.
    pub(crate) async fn dead_letter(&self, delivery: &Delivery) -> Answer {
        if delivery.receives < self.max_receives {
            return Answer::Done;
        }
        self.change_visibility(&delivery.queue, &delivery.receipt_handle, Duration::ZERO)
            .await;
        Answer::Keep
    }

    /// Has the message delivered again after a delay. Its last receive is never wasted on waiting: SQS would take it
    /// for a dead letter, so a fresh message takes its place.
    pub(crate) async fn release(&self, delivery: &Delivery, delay: Duration) -> Answer {
        if delivery.receives < self.max_receives {
            self.change_visibility(&delivery.queue, &delivery.receipt_handle, delay)
                .await;
            return Answer::Keep;
        }
        let queue = self.queues.named(&delivery.queue);
        match queue
            .send_traced(&delivery.message, delay, delivery.trace.as_ref())
            .await
        {
            Ok(()) => Answer::Done,
            Err(error) => {
                tracing::error!(%error, "a fresh message could not be sent; the old one is kept");
                Answer::Keep
            }
        }
    }

    pub(crate) async fn change_visibility(&self, queue: &str, receipt_handle: &str, delay: Duration) {
        if let Err(error) = self
            .queues
            .named(queue)
            .change_visibility(receipt_handle, delay)
            .await
        {
            tracing::warn!(%error, "a message keeps its visibility timeout");
        }
    }
}

/// What the log calls the end of an attempt.
const fn settlement_name(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Completed(_) => "completed",
        Settlement::Retry { .. } => "retried",
        Settlement::Failed { .. } => "failed",
    }
}

/// What is left of a message whose task is no longer the worker's. A task that goes on may need it: it may be the newer
/// claim's by now.
pub(crate) fn after_loss(standing: Option<&Task>) -> Answer {
    match standing {
        Some(task) if !task.status.is_final() => Answer::Keep,
        _ => Answer::Done,
    }
}

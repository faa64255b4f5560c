//! Settles an attempt: stores a large result, writes the transition, and decides what becomes of the message.

use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::{BackendError, BackendFuture, MAX_DELAY, WriteOutcome};
use mesh_task::{
    ErrorCode, Finished, ObjectRef, Report, RunError, RunOutput, Settlement, StoredResult, Task, Write,
};
use tokio::time::sleep;

use crate::delivery::{Delivery, Disposition};
use crate::{Runner, Worker};

/// The pause before a write is tried again that did not fit on the disk.
const SPACE_PAUSE: Duration = Duration::from_secs(1);

impl<R: Runner> Worker<R> {
    /// Ends the attempt that `task` was claimed for. Its input took `fetch` to load.
    pub(crate) async fn settle(
        &self,
        delivery: &Delivery,
        task: &Task,
        fetch: Duration,
        outcome: Result<RunOutput, RunError>,
    ) -> Disposition {
        let outcome = match outcome {
            Ok(output) => self.store(task, fetch, output).await,
            Err(error) => Err(error),
        };
        let code = outcome.as_ref().err().map(|error| error.code.as_str());
        let policy = self.policies.for_type(task.task_type);
        let settlement = Settlement::new(outcome, task, policy, fastrand::f64());
        tracing::info!(
            event = "attempt_ended",
            task_type = task.task_type.as_str(),
            wait_ms = u64::try_from(task.waited().as_millis()).unwrap_or(u64::MAX),
            settlement = settlement.as_str(),
            code,
            "an attempt ended"
        );
        let written = self.when_there_is_space(task, || {
            Box::pin(async {
                let write = end(task, &settlement, Timestamp::now());
                self.tasks.write(&task.tenant, task.id, &write).await
            })
        });
        match written.await {
            Ok(WriteOutcome::Applied(_)) => {
                self.batch_metrics.settled(&settlement);
                self.acknowledge(delivery, &settlement).await
            }
            Ok(WriteOutcome::ConditionFailed(newest)) => {
                tracing::warn!(
                    event = "stale_finish_refused",
                    fence = task.fence,
                    "the attempt's end was refused: its claim is no longer the newest"
                );
                self.batch_metrics.refused();
                Disposition::after_lost_claim(task, newest.as_deref())
            }
            Err(error) => {
                tracing::error!(
                    event = "attempt_end_not_written",
                    %error,
                    "the attempt's end could not be written: the lease will expire"
                );
                self.release(delivery, self.lease).await
            }
        }
    }

    /// Prepares a result for the task's item. A result that the item cannot contain becomes an object in the payload bucket.
    async fn store(&self, task: &Task, fetch: Duration, output: RunOutput) -> Result<Finished, RunError> {
        let report = Report::new(&output, task.waited(), fetch);
        let result = match output.result.to_object()? {
            None => StoredResult::Inline(output.result),
            Some(json) => StoredResult::Object(self.put_result(task, json).await?),
        };
        Ok(Finished { result, report })
    }

    async fn put_result(&self, task: &Task, json: Vec<u8>) -> Result<ObjectRef, RunError> {
        let stored = self.when_there_is_space(task, || self.payloads.put_result(task, json.clone()));
        stored.await.map_err(|error| {
            tracing::warn!(event = "result_not_stored", %error, "a result could not be stored");
            if error.is_throttling() {
                RunError::throttled(
                    ErrorCode::Throttled,
                    "the payload bucket limits the request rate: try again later",
                    None,
                )
            } else {
                RunError::transient(
                    ErrorCode::StorageUnavailable,
                    "the payload bucket did not store the result: try again later",
                )
            }
        })
    }

    /// Makes a write, again and again while the disk is full: what the attempt found out waits in memory for space. Meanwhile
    /// this loop takes no other message, which bounds what waits, and the lease is renewed as soon as that fits.
    async fn when_there_is_space<'a, T>(
        &self,
        task: &Task,
        write: impl Fn() -> BackendFuture<'a, T>,
    ) -> Result<T, BackendError> {
        let mut is_first = true;
        loop {
            match write().await {
                Err(error) if error.is_out_of_space() => {}
                written => return written,
            }
            if is_first {
                tracing::error!(
                    event = "attempt_waits_for_space",
                    task_id = %task.id,
                    "the disk is full: the attempt's end is written when there is space again"
                );
            }
            is_first = false;
            // Whether the claim is lost is seen by the write of the end.
            let _ = self.renew(task).await;
            sleep(SPACE_PAUSE).await;
        }
    }
}

/// The write that ends the attempt that `task` was claimed for.
fn end(task: &Task, settlement: &Settlement, now: Timestamp) -> Write {
    match settlement {
        Settlement::Completed(finished) => task.complete(finished, now),
        Settlement::Retry {
            failure,
            outcome,
            delay,
        } => {
            // A released message is delayed for MAX_DELAY at most. After a longer back-off the sweeper sends one.
            let due_at = (*delay > MAX_DELAY).then(|| now + *delay);
            task.schedule_retry(failure, *outcome, now + *delay, due_at, now)
        }
        Settlement::Failed { failure, outcome } => task.fail(failure, *outcome, now),
    }
}

//! What one batch counted for the metrics. A process handles one batch at a time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_task::Settlement;
use mesh_telemetry::{EmfRecord, Metric};

/// The counters of the current batch.
#[derive(Debug, Default)]
pub struct BatchMetrics {
    messages: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    refused: AtomicU64,
    /// The wait of each claimed task, in milliseconds.
    waits: Mutex<Vec<u64>>,
}

impl BatchMetrics {
    /// Counts the messages of a batch.
    pub(crate) fn received(&self, messages: usize) {
        self.messages.fetch_add(messages as u64, Relaxed);
    }

    /// Counts a claimed task and its wait.
    pub(crate) fn waited(&self, wait: Duration) {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.push(millis);
    }

    /// Counts an attempt whose end was written.
    pub(crate) fn settled(&self, settlement: &Settlement) {
        let counter = match settlement {
            Settlement::Completed(_) => &self.completed,
            Settlement::Failed { .. } => &self.failed,
            Settlement::Retry { .. } => &self.retried,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts an attempt whose end was refused.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Writes the metrics of the batch and resets the counters.
    pub fn emit(&self) {
        let cold = u64::from(mesh_telemetry::is_cold_start());
        self.take().with_nonzero(Metric::ColdStarts, cold).write();
    }

    fn take(&self) -> EmfRecord {
        let waits = std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner));
        EmfRecord::default()
            .with(Metric::BatchSize, self.messages.swap(0, Relaxed))
            .with(Metric::TasksCompleted, self.completed.swap(0, Relaxed))
            .with_nonzero(Metric::TasksFailed, self.failed.swap(0, Relaxed))
            .with_nonzero(Metric::AttemptsRetried, self.retried.swap(0, Relaxed))
            .with_nonzero(Metric::StaleFinishes, self.refused.swap(0, Relaxed))
            .with_all(Metric::QueueWait, waits)
            .property("message", "a batch ended")
    }
}

#[cfg(test)]
mod tests {
    use mesh_task::{ErrorCode, RunError};

    use super::*;

    #[test]
    fn each_batch_is_counted_alone_and_events_that_did_not_happen_have_no_value() {
        let batch_metrics = BatchMetrics::default();
        batch_metrics.received(3);
        batch_metrics.waited(Duration::from_millis(40));
        batch_metrics.waited(Duration::from_secs(2));
        batch_metrics.refused();
        batch_metrics.settled(&Settlement::Failed {
            failure: RunError::permanent(ErrorCode::Panic, "no")
                .into_failure(mesh_task::FailureKind::Permanent),
            outcome: mesh_task::Outcome::Permanent,
        });
        let first = batch_metrics.take();
        assert_eq!(first.values(Metric::BatchSize), Some(&[3][..]));
        assert_eq!(first.values(Metric::TasksFailed), Some(&[1][..]));
        assert_eq!(first.values(Metric::StaleFinishes), Some(&[1][..]));
        assert_eq!(first.values(Metric::QueueWait), Some(&[40, 2_000][..]));
        batch_metrics.received(1);
        let second = batch_metrics.take();
        assert_eq!(second.values(Metric::BatchSize), Some(&[1][..]));
        assert_eq!(second.values(Metric::TasksCompleted), Some(&[0][..]));
        for rare in [
            Metric::TasksFailed,
            Metric::StaleFinishes,
            Metric::AttemptsRetried,
            Metric::QueueWait,
        ] {
            assert_eq!(second.values(rare), None, "{rare:?}");
        }
    }
}

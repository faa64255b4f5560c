//! What batches count for the metrics. A Lambda environment handles one batch at a time; the consumers of a server share
//! their counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_task::Settlement;
use mesh_telemetry::{EmfRecord, Metric};

/// The counters since they were last taken.
#[derive(Debug, Default)]
pub struct BatchMetrics {
    /// How many claimed tasks have not ended yet. It is never reset.
    running: AtomicU64,
    messages: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    refused: AtomicU64,
    /// The wait of each claimed task, in milliseconds.
    waits: Mutex<Vec<u64>>,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchCounts {
    pub messages: u64,
    pub completed: u64,
    pub failed: u64,
    /// Attempts that failed and are followed by another.
    pub retried: u64,
    /// Attempts whose end was refused.
    pub refused: u64,
    /// The wait of each claimed task, in milliseconds.
    pub waits: Vec<u64>,
}

/// Tasks that count as running until this value is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    running: &'a AtomicU64,
    tasks: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.running.fetch_sub(self.tasks, Relaxed);
    }
}

impl BatchMetrics {
    /// Counts claimed tasks as running.
    pub(crate) fn run(&self, tasks: usize) -> Running<'_> {
        let tasks = tasks as u64;
        self.running.fetch_add(tasks, Relaxed);
        Running {
            running: &self.running,
            tasks,
        }
    }

    /// How many tasks run.
    pub fn running(&self) -> u64 {
        self.running.load(Relaxed)
    }

    /// Counts the messages of a batch.
    pub fn received(&self, messages: usize) {
        self.messages.fetch_add(messages as u64, Relaxed);
    }

    /// Counts a claimed task and its wait.
    pub(crate) fn waited(&self, wait: Duration) {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.push(millis);
    }

    /// Counts an attempt whose end was written.
    pub fn settled(&self, settlement: &Settlement) {
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
        let record = self.take().into_record();
        record.with_nonzero(Metric::ColdStarts, cold).write();
    }

    /// Takes the counts and begins again.
    pub fn take(&self) -> BatchCounts {
        BatchCounts {
            messages: self.messages.swap(0, Relaxed),
            completed: self.completed.swap(0, Relaxed),
            failed: self.failed.swap(0, Relaxed),
            retried: self.retried.swap(0, Relaxed),
            refused: self.refused.swap(0, Relaxed),
            waits: std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl BatchCounts {
    fn into_record(self) -> EmfRecord {
        EmfRecord::default()
            .with(Metric::BatchSize, self.messages)
            .with(Metric::TasksCompleted, self.completed)
            .with_nonzero(Metric::TasksFailed, self.failed)
            .with_nonzero(Metric::AttemptsRetried, self.retried)
            .with_nonzero(Metric::StaleFinishes, self.refused)
            .with_all(Metric::QueueWait, self.waits)
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
        let first = batch_metrics.take().into_record();
        assert_eq!(first.values(Metric::BatchSize), Some(&[3][..]));
        assert_eq!(first.values(Metric::TasksFailed), Some(&[1][..]));
        assert_eq!(first.values(Metric::StaleFinishes), Some(&[1][..]));
        assert_eq!(first.values(Metric::QueueWait), Some(&[40, 2_000][..]));
        batch_metrics.received(1);
        let second = batch_metrics.take().into_record();
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

    #[test]
    fn tasks_run_until_their_batch_ends_however_often_the_counts_are_taken() {
        let batch_metrics = BatchMetrics::default();
        let batch = batch_metrics.run(3);
        let other = batch_metrics.run(1);
        batch_metrics.take();
        assert_eq!(batch_metrics.running(), 4);
        drop(batch);
        assert_eq!(batch_metrics.running(), 1);
        drop(other);
        assert_eq!(batch_metrics.running(), 0);
    }
}

//! What the workers did lately.

use std::fmt::Debug;

use jiff::Timestamp;

use crate::BackendFuture;

/// What a worker did over some minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    pub completed: u64,
    pub failed: u64,
    /// Attempts that failed and were followed by another.
    pub retried: u64,
    /// Messages in all batches.
    pub messages: u64,
    /// Invocations with a batch of messages.
    pub batches: u64,
    pub cold_starts: u64,
    /// The minute of the last batch; `None` if there was no batch.
    pub last_seen: Option<Timestamp>,
}

/// Where the workers' metrics are read.
pub trait WorkerMetrics: Debug + Send + Sync {
    /// The activity of each worker over the last `minutes`, in the order of `names`.
    ///
    /// # Errors
    /// When the metrics can't be read.
    fn activity<'a>(
        &'a self,
        names: &'a [&'a str],
        minutes: i64,
        now: Timestamp,
    ) -> BackendFuture<'a, Vec<Activity>>;
}

//! What an invocation did, counted for the metrics. An environment serves one invocation at a time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use mesh_cloud::Metric;
use mesh_task::Settlement;

/// The counters of the invocation that runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    messages: AtomicU32,
    completed: AtomicU32,
    failed: AtomicU32,
    retried: AtomicU32,
    is_warm: AtomicBool,
}

impl Tally {
    /// A batch came.
    pub(crate) fn received(&self, messages: usize) {
        self.messages
            .fetch_add(u32::try_from(messages).unwrap_or(u32::MAX), Relaxed);
    }

    /// An attempt's end was written.
    pub(crate) fn settled(&self, settlement: &Settlement) {
        let counter = match settlement {
            Settlement::Completed(_) => &self.completed,
            Settlement::Failed { .. } => &self.failed,
            Settlement::Rest { .. } => &self.retried,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Writes the metrics of the invocation, and begins anew.
    pub(crate) fn emit(&self) {
        mesh_cloud::emit(&self.take());
    }

    fn take(&self) -> Vec<(Metric, u32)> {
        let mut values = vec![
            (Metric::BatchSize, self.messages.swap(0, Relaxed)),
            (Metric::TasksCompleted, self.completed.swap(0, Relaxed)),
            (Metric::TasksFailed, self.failed.swap(0, Relaxed)),
            (Metric::AttemptsRetried, self.retried.swap(0, Relaxed)),
        ];
        if !self.is_warm.swap(true, Relaxed) {
            values.push((Metric::ColdStarts, 1));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use mesh_task::RunError;

    use super::*;

    #[test]
    fn an_invocation_is_counted_by_itself_and_only_the_first_is_cold() {
        let tally = Tally::default();
        tally.received(3);
        tally.settled(&Settlement::Failed {
            failure: RunError::permanent("fault", "no").into_failure(mesh_task::FailureKind::Permanent),
            outcome: mesh_task::Outcome::Permanent,
        });
        let first = tally.take();
        assert!(first.contains(&(Metric::BatchSize, 3)) && first.contains(&(Metric::TasksFailed, 1)));
        assert!(first.contains(&(Metric::ColdStarts, 1)));
        tally.received(1);
        let second = tally.take();
        assert!(second.contains(&(Metric::BatchSize, 1)) && second.contains(&(Metric::TasksFailed, 0)));
        assert!(!second.iter().any(|(metric, _)| *metric == Metric::ColdStarts));
    }
}

//! Runs steps at the same time: downloads wait for the network while the compiler needs the processor.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::Result;

/// A step on a thread of its own. The scope ends after the step, so an error of one step is reported once the others
/// have ended.
#[derive(Debug)]
pub(crate) struct Parallel<'scope, T>(ScopedJoinHandle<'scope, Result<T>>);

impl<'scope, T: Send + 'scope> Parallel<'scope, T> {
    pub(crate) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        step: impl FnOnce() -> Result<T> + Send + 'scope,
    ) -> Self {
        Self(scope.spawn(step))
    }

    /// Waits for the step's result.
    pub(crate) fn result(self) -> Result<T> {
        self.0.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use anyhow::bail;

    use super::*;

    #[test]
    fn steps_run_at_the_same_time_and_return_their_own_results() {
        let (sender, receiver) = mpsc::channel();
        let results = thread::scope(|scope| {
            // Neither ends before both run.
            let waits = Parallel::start(scope, move || Ok(receiver.recv()?));
            let fails: Parallel<'_, ()> = Parallel::start(scope, move || {
                sender.send("sent")?;
                bail!("no network")
            });
            (waits.result(), fails.result())
        });
        assert_eq!(results.0.unwrap(), "sent");
        assert_eq!(results.1.unwrap_err().to_string(), "no network");
    }
}

//! The signal that ends a run early.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Callback = Box<dyn FnOnce() + Send>;

/// A signal that tells a running batch to end. Clones share it, and it is never reset.
#[derive(Clone, Default)]
pub struct Stop(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    triggered: bool,
    callbacks: Vec<Callback>,
}

impl Stop {
    /// Calls `callback` once when the stop is triggered, or now if it already is.
    pub fn on_trigger(&self, callback: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        if state.triggered {
            drop(state);
            callback();
        } else {
            state.callbacks.push(Box::new(callback));
        }
    }

    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.lock().triggered
    }

    /// Tells the batch to end.
    pub fn trigger(&self) {
        let mut state = self.lock();
        state.triggered = true;
        let callbacks = std::mem::take(&mut state.callbacks);
        drop(state);
        for callback in callbacks {
            callback();
        }
    }

    /// No code panics while it owns the lock, so a poisoned lock still guards a valid state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop")
            .field("triggered", &self.is_triggered())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_callback_is_called_once_whether_added_before_or_after_the_trigger() {
        let stop = Stop::default();
        let calls = Arc::new(AtomicU32::new(0));
        let count = |calls: &Arc<AtomicU32>| {
            let calls = Arc::clone(calls);
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        stop.on_trigger(count(&calls));
        assert_eq!((stop.is_triggered(), calls.load(Ordering::SeqCst)), (false, 0));
        let same = stop.clone();
        same.trigger();
        stop.trigger();
        stop.on_trigger(count(&calls));
        assert_eq!((stop.is_triggered(), calls.load(Ordering::SeqCst)), (true, 2));
    }
}

//! Who waits for changes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

/// The map is cleaned from so many entries on.
const MIN_CLEANED: usize = 64;

/// Those who wait for a change of one of many things.
#[derive(Debug)]
pub(crate) struct Watchers<K>(Mutex<Watched<K>>);

#[derive(Debug)]
struct Watched<K> {
    by_key: HashMap<K, Weak<Notify>>,
    /// From so many entries on, those that nobody waits for are removed.
    clean_at: usize,
}

impl<K> Default for Watchers<K> {
    fn default() -> Self {
        Self(Mutex::new(Watched {
            by_key: HashMap::new(),
            clean_at: MIN_CLEANED,
        }))
    }
}

impl<K: Eq + Hash> Watchers<K> {
    /// Wakes those who wait for a change of this.
    pub(crate) fn wake(&self, key: &K) {
        if let Some(watched) = self
            .lock()
            .by_key
            .remove(key)
            .and_then(|watched| watched.upgrade())
        {
            watched.notify_waiters();
        }
    }

    /// Ends at the first change of this after the call.
    pub(crate) fn changed(&self, key: K) -> BoxFuture<'static, ()> {
        let mut watched = self.lock();
        if watched.by_key.len() >= watched.clean_at {
            watched.by_key.retain(|_, notify| notify.strong_count() > 0);
            watched.clean_at = MIN_CLEANED.max(2 * watched.by_key.len());
        }
        let known = watched.by_key.get(&key).and_then(Weak::upgrade);
        let notify = known.unwrap_or_else(|| {
            let notify = Arc::new(Notify::new());
            watched.by_key.insert(key, Arc::downgrade(&notify));
            notify
        });
        Box::pin(notify.notified_owned())
    }

    /// No code panics while it holds the map, so a poisoned lock still guards a valid one.
    fn lock(&self) -> MutexGuard<'_, Watched<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_change_wakes_those_who_began_to_wait_for_it_before() {
        let watchers = Watchers::default();
        let [mut first, mut second, mut other] = [1, 1, 2].map(|key| watchers.changed(key));
        watchers.wake(&1);
        assert!((&mut first).now_or_never().is_some() && (&mut second).now_or_never().is_some());
        assert!((&mut other).now_or_never().is_none());
        assert!(watchers.changed(1).now_or_never().is_none());
    }

    #[test]
    fn what_nobody_waits_for_is_forgotten() {
        let watchers = Watchers::default();
        let kept: Vec<_> = (0..10).map(|key| watchers.changed(key)).collect();
        for key in 10..10_000 {
            drop(watchers.changed(key));
        }
        assert!(watchers.lock().by_key.len() <= MIN_CLEANED);
        watchers.wake(&3);
        assert!(
            kept.into_iter()
                .nth(3)
                .and_then(FutureExt::now_or_never)
                .is_some()
        );
    }
}

//! Pauses between the tries of a batch call that left items unprocessed. Such a response is a success for the SDK, which does
//! not retry it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often unprocessed items are tried again.
const TRIES: u32 = 6;
/// The pause before the second try is a random time up to this; it doubles with each further try.
const BASE: Duration = Duration::from_millis(100);

/// The tries of one batch.
#[derive(Debug)]
pub(crate) struct Backoff {
    until: Instant,
    tries: u32,
}

impl Backoff {
    pub(crate) fn until(until: Instant) -> Self {
        Self { until, tries: 0 }
    }

    /// Waits until the next try. Returns false at once if there is none: all tries are used, or the time ends before it.
    pub(crate) async fn wait_for_retry(&mut self) -> bool {
        let pause = (BASE * 2_u32.pow(self.tries)).mul_f64(fastrand::f64());
        self.tries += 1;
        let at = Instant::now() + pause;
        if self.tries > TRIES || at >= self.until {
            return false;
        }
        sleep(pause).await;
        true
    }
}

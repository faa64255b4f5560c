//! Pauses between the tries of what a batch call left out: its answer was a success, so the client itself is content.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often what was left out is tried again.
const TRIES: u32 = 6;
/// The pause before the second try is a random time up to this; it doubles with each further try.
const BASE: Duration = Duration::from_millis(100);

/// Counts the tries of one batch.
#[derive(Debug)]
pub(crate) struct Backoff {
    until: Instant,
    tries: u32,
}

impl Backoff {
    pub(crate) fn until(until: Instant) -> Self {
        Self { until, tries: 0 }
    }

    /// Waits for the next try. False, at once, when there is none: they are spent, or it would come too late.
    pub(crate) async fn another(&mut self) -> bool {
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

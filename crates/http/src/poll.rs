//! How often a waiting request reads again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The pause between two reads: 100 ms at first, each next one half as long again, up to a second.
#[derive(Debug)]
pub struct PollInterval {
    pause: Duration,
}

impl Default for PollInterval {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE }
    }
}

impl PollInterval {
    /// Sleeps until the next read is due, or until `until` if that is sooner.
    pub async fn sleep(&mut self, until: Instant) {
        let pause = self.advance();
        sleep_until(until.min(Instant::now() + pause)).await;
    }

    /// Begins again with the first pause, because something happened.
    pub fn reset(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    fn advance(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(MAX_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_by_half_up_to_a_second_and_begin_again() {
        let mut interval = PollInterval::default();
        let micros: Vec<_> = (0..8).map(|_| interval.advance().as_micros()).collect();
        assert_eq!(
            micros,
            [
                100_000, 150_000, 225_000, 337_500, 506_250, 759_375, 1_000_000, 1_000_000
            ]
        );
        interval.reset();
        assert_eq!(interval.advance(), FIRST_PAUSE);
    }
}

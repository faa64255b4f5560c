//! How often a waiting request reads again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The pause between two reads. Each is longer than the one before, up to a limit: what takes long may be noticed later.
#[derive(Debug)]
pub struct PollInterval {
    first: Duration,
    longest: Duration,
    pause: Duration,
}

impl PollInterval {
    /// For a task that someone waits for: 20 ms, and a quarter longer each time, up to 250 ms. So a change is noticed after at
    /// most a quarter of the time that it took.
    #[must_use]
    pub const fn of_task() -> Self {
        Self::between(Duration::from_millis(20), Duration::from_millis(250))
    }

    /// For a tenant's changes, where each read counts and many changes may come: 100 ms, up to a second.
    #[must_use]
    pub const fn of_changes() -> Self {
        Self::between(Duration::from_millis(100), Duration::from_secs(1))
    }

    const fn between(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            pause: first,
        }
    }

    /// Sleeps until the next read is due: at `until`, or when something `changed`, if that is sooner.
    pub async fn sleep(&mut self, until: Instant, changed: impl Future<Output = ()>) {
        let pause = self.advance();
        tokio::select! {
            () = sleep_until(until.min(Instant::now() + pause)) => {}
            () = changed => {}
        }
    }

    /// Begins again with the first pause, because something happened.
    pub fn reset(&mut self) {
        self.pause = self.first;
    }

    fn advance(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 5 / 4).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_by_a_quarter_up_to_the_longest_and_begin_again() {
        for (mut interval, first, longest) in [
            (PollInterval::of_task(), 20_000, 250_000),
            (PollInterval::of_changes(), 100_000, 1_000_000),
        ] {
            let micros: Vec<_> = (0..20).map(|_| interval.advance().as_micros()).collect();
            assert_eq!(
                micros[..4],
                [first, first * 5 / 4, first * 25 / 16, first * 125 / 64]
            );
            assert!(micros.is_sorted());
            assert_eq!(micros[18..], [longest; 2]);
            interval.reset();
            assert_eq!(interval.advance().as_micros(), first);
        }
    }

    #[test]
    fn a_task_that_takes_a_second_is_read_less_than_twenty_times() {
        let mut interval = PollInterval::of_task();
        let mut passed = Duration::ZERO;
        let reads = (0..).take_while(|_| {
            passed += interval.advance();
            passed < Duration::from_secs(1)
        });
        assert!(reads.count() < 20);
    }
}

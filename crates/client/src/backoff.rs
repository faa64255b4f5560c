//! The pauses between the attempts of a request.

use std::time::Duration;

/// How often a request is sent, the first time included.
pub const MAX_REQUEST_ATTEMPTS: u32 = 4;

/// Pauses that double after each attempt.
#[derive(Debug)]
pub struct Backoff {
    attempts: u32,
    pause: Duration,
}

impl Backoff {
    /// `first_pause` comes after the first attempt.
    #[must_use]
    pub const fn new(first_pause: Duration) -> Self {
        Self {
            attempts: 1,
            pause: first_pause,
        }
    }

    /// The pause before the next attempt, or `None` once `max_attempts` are made.
    pub fn next_pause(&mut self, max_attempts: u32) -> Option<Duration> {
        if self.attempts >= max_attempts {
            return None;
        }
        let pause = self.pause;
        self.attempts += 1;
        self.pause *= 2;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_all_attempts_are_made() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        let pauses: Vec<_> = std::iter::from_fn(|| backoff.next_pause(MAX_REQUEST_ATTEMPTS)).collect();
        assert_eq!(pauses, [1, 2, 4].map(Duration::from_secs));
        assert_eq!(Backoff::new(Duration::from_secs(1)).next_pause(1), None);
    }
}

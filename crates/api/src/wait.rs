//! Holding an answer until there is something to say.

use std::time::Duration;

use mesh_http::{Problem, ProblemKind};
use tokio::time::{Instant, sleep_until};

/// The longest wait that may be asked for, in seconds.
const MAX_WAIT: u64 = 20;
/// A waiting caller's first read again; each next one comes half as much later, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a caller waits, and when to look again meanwhile.
#[derive(Debug)]
pub(crate) struct Wait {
    until: Instant,
    pause: Duration,
}

impl Wait {
    /// As long as `?wait=SECONDS` says, and the invocation allows. Not at all if it says nothing.
    pub(crate) fn new(given: Option<&str>, deadline: Instant) -> Result<Self, Problem> {
        let wait = given.map_or(Ok(Duration::ZERO), parse)?;
        Ok(Self {
            until: deadline.min(Instant::now() + wait),
            pause: FIRST_PAUSE,
        })
    }

    /// Returns when it is worth to look again, or false at once when the time is up.
    pub(crate) async fn again(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.until {
            return false;
        }
        sleep_until(self.until.min(now + self.pause)).await;
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        true
    }
}

fn parse(given: &str) -> Result<Duration, Problem> {
    match given.parse() {
        Ok(seconds) if seconds <= MAX_WAIT => Ok(Duration::from_secs(seconds)),
        _ => {
            let detail =
                format!("wait={given} is invalid: send a whole number of seconds from 0 to {MAX_WAIT}");
            Err(Problem::new(ProblemKind::InvalidWait, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_whole_number_of_seconds_up_to_twenty() {
        assert_eq!(parse("0").unwrap(), Duration::ZERO);
        assert_eq!(parse("20").unwrap(), Duration::from_secs(20));
        for given in ["", "21", "-1", "1.5", "ten", "99999999999999999999"] {
            assert!(parse(given).is_err(), "{given}");
        }
    }
}

//! `?wait=SECONDS`: holds an answer until there is something to say.

use std::time::Duration;

use mesh_http::{PollInterval, Problem, ProblemKind};
use tokio::time::Instant;

/// The longest wait, in seconds.
pub(crate) const MAX_WAIT: u64 = 20;

/// How long a request waits, and when it reads again meanwhile.
#[derive(Debug)]
pub(crate) struct Wait {
    until: Instant,
    interval: PollInterval,
}

impl Wait {
    /// Waits for as long as `?wait=SECONDS` says and the deadline allows. Without `?wait` it does not wait.
    pub(crate) fn new(
        given: Option<&str>,
        deadline: Instant,
        interval: PollInterval,
    ) -> Result<Self, Problem> {
        let wait = given.map_or(Ok(Duration::ZERO), parse)?;
        Ok(Self {
            until: deadline.min(Instant::now() + wait),
            interval,
        })
    }

    /// Returns true when the next read is due, which is when something `changed` at the latest, or false at once when the time
    /// is up.
    pub(crate) async fn again(&mut self, changed: impl Future<Output = ()>) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        self.interval.sleep(self.until, changed).await;
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

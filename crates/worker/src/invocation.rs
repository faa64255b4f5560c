//! How long an invocation may still work.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

/// Writing a batch's ends takes a few round trips; the margin for them is a tenth of the time, within these bounds.
const MIN_MARGIN: Duration = Duration::from_millis(500);
const MAX_MARGIN: Duration = Duration::from_secs(3);
/// A lease outlasts the moment at which the platform kills the function: after that, nobody can write under it.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// One invocation's time.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    work_until: Instant,
    lease_until: Timestamp,
    grace: Duration,
    least_share: Duration,
}

impl Invocation {
    /// An invocation that the platform ends at that time.
    #[must_use]
    pub fn until(end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        let margin = (left / 10).clamp(MIN_MARGIN, MAX_MARGIN);
        let work = left.saturating_sub(margin);
        Self {
            work_until: Instant::now() + work,
            lease_until: Timestamp::now() + left + LEASE_MARGIN,
            grace: margin / 3 * 2,
            least_share: work / 10,
        }
    }

    /// When the tasks' work is cut off.
    pub(crate) fn work_until(&self) -> Instant {
        self.work_until
    }

    /// Until when inputs that are fetched now are waited for: half of what is left, so that the others in the batch have
    /// time to run.
    pub(crate) fn load_until(&self) -> Instant {
        let now = Instant::now();
        now + self.work_until.saturating_duration_since(now) / 2
    }

    /// How long a run may take to heed its stop: most of the margin, the rest being for writing the ends.
    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    /// Until when a claim made in this invocation holds.
    pub(crate) fn lease_until(&self) -> Timestamp {
        self.lease_until
    }

    /// Whether enough time is left to begin one more task.
    pub(crate) fn has_room(&self) -> bool {
        self.work_until.saturating_duration_since(Instant::now()) > self.least_share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_before_the_invocation_and_the_lease_after_it() {
        let end = SystemTime::now() + Duration::from_secs(60);
        let invocation = Invocation::until(end);
        let work = invocation.work_until() - Instant::now();
        assert!(work <= Duration::from_secs(57) && work > Duration::from_secs(50));
        assert!(invocation.lease_until() > Timestamp::try_from(end).unwrap());
        assert!(invocation.has_room());
    }

    #[test]
    fn an_invocation_without_time_begins_nothing() {
        assert!(!Invocation::until(SystemTime::now()).has_room());
        assert!(!Invocation::until(SystemTime::UNIX_EPOCH).has_room());
    }
}

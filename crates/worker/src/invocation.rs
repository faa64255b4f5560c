//! How long an invocation may still work.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

/// Writing the ends of a batch takes a few round trips. A tenth of the time is reserved for them, within these bounds.
const MIN_MARGIN: Duration = Duration::from_millis(500);
const MAX_MARGIN: Duration = Duration::from_secs(3);
/// A lease ends this long after Lambda kills the function. Nobody can write under the lease then.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// The time limits of one invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    work_until: Instant,
    lease_until: Timestamp,
    grace: Duration,
    /// The time that an isolated task requires.
    isolated_share: Duration,
}

impl Invocation {
    /// The limits of an invocation that Lambda ends at this time.
    #[must_use]
    pub fn until(end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        let margin = (left / 10).clamp(MIN_MARGIN, MAX_MARGIN);
        let work = left.saturating_sub(margin);
        Self {
            work_until: Instant::now() + work,
            lease_until: Timestamp::now() + left + LEASE_MARGIN,
            grace: margin / 3 * 2,
            isolated_share: work / 2,
        }
    }

    /// When running tasks are stopped.
    pub(crate) fn work_until(&self) -> Instant {
        self.work_until
    }

    /// Until when the batch waits for inputs that are loaded now: half of the remaining time, so that the tasks whose inputs
    /// arrived have time to run.
    pub(crate) fn load_until(&self) -> Instant {
        let now = Instant::now();
        now + self.work_until.saturating_duration_since(now) / 2
    }

    /// How long a run may take to react to its stop: two thirds of the margin. The rest is for writing the ends.
    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    /// The latest end of a lease that is claimed in this invocation.
    pub(crate) fn lease_until(&self) -> Timestamp {
        self.lease_until
    }

    /// Whether an isolated task may begin: half of the invocation's time is left. With less, the tasks that ran before would
    /// decide whether it reaches its deadline, which spends an attempt.
    pub(crate) fn has_room_for_isolated(&self) -> bool {
        self.work_until.saturating_duration_since(Instant::now()) > self.isolated_share
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
        assert!(invocation.has_room_for_isolated());
    }

    #[test]
    fn an_isolated_task_begins_while_half_of_the_time_is_left() {
        let mut invocation = Invocation::until(SystemTime::now() + Duration::from_secs(60));
        invocation.work_until = Instant::now() + Duration::from_secs(25);
        assert!(!invocation.has_room_for_isolated());
        invocation.work_until = Instant::now() + Duration::from_secs(35);
        assert!(invocation.has_room_for_isolated());
    }

    #[test]
    fn an_invocation_without_time_has_no_room_for_a_task() {
        assert!(!Invocation::until(SystemTime::now()).has_room_for_isolated());
        assert!(!Invocation::until(SystemTime::UNIX_EPOCH).has_room_for_isolated());
    }
}

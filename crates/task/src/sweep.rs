//! What the sweeper does with a task that is still in flight when its check is due. Only time shows these losses: a worker
//! that died, and a message that was never sent or was lost.

use std::time::Duration;

use jiff::Timestamp;

use crate::transitions::CLOCK_MARGIN;
use crate::{Status, Task};

/// How long the sweeper waits between its checks of a task. All times derive from one, so that a test can shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepPolicy {
    /// From the acceptance of a task to its first check.
    pub due_after: Duration,
}

impl SweepPolicy {
    /// In a lane with a backlog, a task of at least this age is requeued: 15 minutes where `due_after` is one.
    const OLD: u32 = 15;
    /// The longest time between two checks: an hour where `due_after` is a minute.
    const LONGEST: u32 = 60;

    /// The first check of a task that is accepted, released or redriven at `now`.
    #[must_use]
    pub fn first_check_at(&self, now: Timestamp) -> Timestamp {
        now + self.due_after
    }

    /// The check after one at `now`. The wait is the task's age, so the time between checks doubles.
    fn next_check_at(&self, task: &Task, now: Timestamp) -> Timestamp {
        now + age(task, now).clamp(self.due_after, self.due_after * Self::LONGEST)
    }
}

/// What a task needs whose check is due. The time is that of the next check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepAction {
    /// Nothing: the task is final.
    Nothing,
    /// Nothing yet.
    DeferCheck(Timestamp),
    /// A new message: its own may be lost.
    Requeue(Timestamp),
    /// [`Task::reclaim`], then a message: the worker's lease expired.
    Reclaim(Timestamp),
    /// [`Task::fail_exhausted`]: the worker's lease expired, and no attempt is left.
    FailExhausted,
}

impl Task {
    /// What the task needs at `now`.
    ///
    /// A lane with visible messages has a backlog. The task's own message is probably among them, and a second one would only
    /// make the backlog longer.
    #[must_use]
    pub fn sweep_action(&self, lane_has_backlog: bool, policy: SweepPolicy, now: Timestamp) -> SweepAction {
        let next_check_at = policy.next_check_at(self, now);
        match self.status {
            Status::Completed | Status::Failed | Status::Cancelled => SweepAction::Nothing,
            Status::Blocked => SweepAction::DeferCheck(next_check_at),
            Status::Pending => match self.next_attempt_at {
                // During the back-off the message is hidden, not lost.
                Some(ready_at) if ready_at > now => SweepAction::DeferCheck(ready_at + policy.due_after),
                _ if lane_has_backlog && age(self, now) < policy.due_after * SweepPolicy::OLD => {
                    SweepAction::DeferCheck(next_check_at)
                }
                _ => SweepAction::Requeue(next_check_at),
            },
            Status::Processing => match self.lease_until {
                Some(lease_until) if lease_until >= now => {
                    SweepAction::DeferCheck(lease_until + CLOCK_MARGIN)
                }
                _ if self.survives_crash() => SweepAction::Reclaim(next_check_at),
                _ => SweepAction::FailExhausted,
            },
        }
    }
}

/// How long ago the task was accepted; zero if the clock that stamped it is ahead of this one.
fn age(task: &Task, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(task.created_at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOON, task};

    const MINUTE: Duration = Duration::from_secs(60);
    const POLICY: SweepPolicy = SweepPolicy { due_after: MINUTE };

    #[test]
    fn in_a_backlog_only_an_old_task_is_requeued() {
        let task = task();
        let at = |minutes: u32| NOON + MINUTE * minutes;
        let mut now = at(1);
        let mut checks = Vec::new();
        while let SweepAction::DeferCheck(next) = task.sweep_action(true, POLICY, now) {
            checks.push(now);
            now = next;
        }
        assert_eq!(
            checks,
            [at(1), at(2), at(4), at(8)],
            "the time between checks doubles"
        );
        assert_eq!(task.sweep_action(true, POLICY, now), SweepAction::Requeue(at(32)));
        assert_eq!(
            task.sweep_action(false, POLICY, at(1)),
            SweepAction::Requeue(at(2))
        );
        assert_eq!(
            task.sweep_action(true, POLICY, at(600)),
            SweepAction::Requeue(at(660)),
            "checks are at most an hour apart"
        );
    }

    #[test]
    fn a_task_is_not_requeued_during_its_back_off() {
        let mut task = task();
        task.next_attempt_at = Some(NOON + 5 * MINUTE);
        assert_eq!(
            task.sweep_action(false, POLICY, NOON + MINUTE),
            SweepAction::DeferCheck(NOON + 6 * MINUTE)
        );
        assert!(matches!(
            task.sweep_action(false, POLICY, NOON + 5 * MINUTE),
            SweepAction::Requeue(_)
        ));
    }

    #[test]
    fn a_task_with_an_expired_lease_is_reclaimed_unless_its_last_attempt_ran_isolated() {
        let mut task = task();
        (task.status, task.attempt, task.consecutive_crashes) = (Status::Processing, 1, 1);
        task.lease_until = Some(NOON + MINUTE);
        assert_eq!(
            task.sweep_action(false, POLICY, NOON + MINUTE),
            SweepAction::DeferCheck(NOON + MINUTE + CLOCK_MARGIN)
        );
        let late = NOON + 2 * MINUTE;
        assert_eq!(
            task.sweep_action(true, POLICY, late),
            SweepAction::Reclaim(NOON + 4 * MINUTE)
        );
        task.attempt = 3;
        assert!(matches!(
            task.sweep_action(true, POLICY, late),
            SweepAction::Reclaim(_)
        ));
        task.consecutive_crashes = 2;
        assert_eq!(task.sweep_action(true, POLICY, late), SweepAction::FailExhausted);
        task.attempt = 2;
        assert!(matches!(
            task.sweep_action(true, POLICY, late),
            SweepAction::Reclaim(_)
        ));
    }

    #[test]
    fn a_clock_that_is_behind_requeues_nothing() {
        let task = task();
        let behind = NOON - 10 * MINUTE;
        assert_eq!(
            task.sweep_action(true, POLICY, behind),
            SweepAction::DeferCheck(behind + MINUTE)
        );
    }
}

//! What time alone must mend: the janitor's decision about a task that is still in flight when it falls due.

use std::time::Duration;

use jiff::Timestamp;

use crate::transitions::CLOCK_MARGIN;
use crate::{Status, Task};

/// How patient the janitor is. One length of time gives them all, so that a test can shorten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepPolicy {
    /// A task in flight is first looked at this long after it was accepted.
    pub due_after: Duration,
}

impl SweepPolicy {
    /// A task this old is rung for even when its lane has a backlog: 15 minutes where it is due after one.
    const OLD: u32 = 15;
    /// The longest time between two looks: an hour where a task is due after a minute.
    const LONGEST: u32 = 60;

    /// When a task that is accepted or freed now is looked at first.
    #[must_use]
    pub fn first_check_at(&self, now: Timestamp) -> Timestamp {
        now + self.due_after
    }

    /// When it is looked at next: as far off as it is old, so that the time between looks doubles.
    fn next_check_at(&self, task: &Task, now: Timestamp) -> Timestamp {
        now + age(task, now).clamp(self.due_after, self.due_after * Self::LONGEST)
    }
}

/// What a task that is due needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepAction {
    /// Nothing: it is final.
    Nothing,
    /// Another look at this time.
    DeferCheck(Timestamp),
    /// A message, since its own was perhaps never sent, or lost; and another look at this time.
    Requeue(Timestamp),
    /// To be taken back from a worker that is gone ([`Task::reclaim`]), and then a message; and another look at this
    /// time.
    Reclaim(Timestamp),
    /// To be ended: its worker is gone, and its attempts are spent ([`Task::fail_exhausted`]).
    FailExhausted,
}

impl Task {
    /// What the task needs at `now`. A lane that has messages to see has a backlog: the task's own is among them, and one
    /// more would only make it longer.
    #[must_use]
    pub fn sweep_action(&self, lane_has_backlog: bool, policy: SweepPolicy, now: Timestamp) -> SweepAction {
        let next_check_at = policy.next_check_at(self, now);
        match self.status {
            Status::Completed | Status::Failed | Status::Cancelled => SweepAction::Nothing,
            Status::Blocked => SweepAction::DeferCheck(next_check_at),
            Status::Pending => match self.next_attempt_at {
                // Its message is hidden for as long.
                Some(rests_until) if rests_until > now => {
                    SweepAction::DeferCheck(rests_until + policy.due_after)
                }
                _ if lane_has_backlog && age(self, now) < policy.due_after * SweepPolicy::OLD => {
                    SweepAction::DeferCheck(next_check_at)
                }
                _ => SweepAction::Requeue(next_check_at),
            },
            Status::Processing => match self.lease_until {
                Some(held_until) if held_until >= now => SweepAction::DeferCheck(held_until + CLOCK_MARGIN),
                _ if self.attempt < self.max_attempts => SweepAction::Reclaim(next_check_at),
                _ => SweepAction::FailExhausted,
            },
        }
    }
}

/// How long ago it was accepted. A clock that is behind the one that stamped it makes that no time at all.
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
    fn a_backlog_is_not_taken_for_a_loss_until_a_task_is_old() {
        let task = task();
        let at = |minutes: u32| NOON + MINUTE * minutes;
        let mut now = at(1);
        let mut looks = Vec::new();
        while let SweepAction::DeferCheck(next) = task.sweep_action(true, POLICY, now) {
            looks.push(now);
            now = next;
        }
        assert_eq!(
            looks,
            [at(1), at(2), at(4), at(8)],
            "the time between looks doubles"
        );
        assert_eq!(task.sweep_action(true, POLICY, now), SweepAction::Requeue(at(32)));
        assert_eq!(
            task.sweep_action(false, POLICY, at(1)),
            SweepAction::Requeue(at(2))
        );
        assert_eq!(
            task.sweep_action(true, POLICY, at(600)),
            SweepAction::Requeue(at(660)),
            "an hour at most"
        );
    }

    #[test]
    fn a_rest_is_not_cut_short() {
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
    fn a_lease_that_ran_out_is_taken_back_while_attempts_are_left() {
        let mut task = task();
        (task.status, task.attempt) = (Status::Processing, 1);
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
        assert_eq!(task.sweep_action(true, POLICY, late), SweepAction::FailExhausted);
    }

    #[test]
    fn a_clock_that_is_behind_finds_nothing_old() {
        let task = task();
        let behind = NOON - 10 * MINUTE;
        assert_eq!(
            task.sweep_action(true, POLICY, behind),
            SweepAction::DeferCheck(behind + MINUTE)
        );
    }
}

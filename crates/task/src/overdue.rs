//! What time alone must mend: the janitor's decision about a task that is still in flight when it falls due.

use std::time::Duration;

use jiff::Timestamp;

use crate::moves::CLOCK_MARGIN;
use crate::{Status, Task};

/// How patient the janitor is. One length of time gives them all, so that a test can shorten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A task in flight is first looked at this long after it was accepted.
    pub due_after: Duration,
}

impl Patience {
    /// A task this old is rung for even when its lane has a backlog: 15 minutes where it is due after one.
    const OLD: u32 = 15;
    /// The longest time between two looks: an hour where a task is due after a minute.
    const LONGEST: u32 = 60;

    /// When a task that is accepted or freed now is looked at first.
    #[must_use]
    pub fn first_look(&self, now: Timestamp) -> Timestamp {
        now + self.due_after
    }

    /// When it is looked at next: as far off as it is old, so that the time between looks doubles.
    fn next_look(&self, task: &Task, now: Timestamp) -> Timestamp {
        now + age(task, now).clamp(self.due_after, self.due_after * Self::LONGEST)
    }
}

/// What a task that is due needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tending {
    /// Nothing: it is final.
    Nothing,
    /// Another look at this time.
    PutOff(Timestamp),
    /// A message, since its own was perhaps never sent, or lost; and another look at this time.
    Ring(Timestamp),
    /// To be taken back from a worker that is gone ([`Task::take_back`]), and then a message; and another look at this
    /// time.
    TakeBack(Timestamp),
    /// To be ended: its worker is gone, and its attempts are spent ([`Task::exhaust`]).
    Exhaust,
}

impl Task {
    /// What the task needs at `now`. A lane that has messages to see has a backlog: the task's own is among them, and one
    /// more would only make it longer.
    #[must_use]
    pub fn tending(&self, lane_has_backlog: bool, patience: Patience, now: Timestamp) -> Tending {
        let next_look = patience.next_look(self, now);
        match self.status {
            Status::Completed | Status::Failed | Status::Cancelled => Tending::Nothing,
            Status::Blocked => Tending::PutOff(next_look),
            Status::Pending => match self.next_attempt_at {
                // Its message is hidden for as long.
                Some(rests_until) if rests_until > now => Tending::PutOff(rests_until + patience.due_after),
                _ if lane_has_backlog && age(self, now) < patience.due_after * Patience::OLD => {
                    Tending::PutOff(next_look)
                }
                _ => Tending::Ring(next_look),
            },
            Status::Processing => match self.lease_until {
                Some(held_until) if held_until >= now => Tending::PutOff(held_until + CLOCK_MARGIN),
                _ if self.attempt < self.max_attempts => Tending::TakeBack(next_look),
                _ => Tending::Exhaust,
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
    const PATIENCE: Patience = Patience { due_after: MINUTE };

    #[test]
    fn a_backlog_is_not_taken_for_a_loss_until_a_task_is_old() {
        let task = task();
        let at = |minutes: u32| NOON + MINUTE * minutes;
        let mut now = at(1);
        let mut looks = Vec::new();
        while let Tending::PutOff(next) = task.tending(true, PATIENCE, now) {
            looks.push(now);
            now = next;
        }
        assert_eq!(
            looks,
            [at(1), at(2), at(4), at(8)],
            "the time between looks doubles"
        );
        assert_eq!(task.tending(true, PATIENCE, now), Tending::Ring(at(32)));
        assert_eq!(task.tending(false, PATIENCE, at(1)), Tending::Ring(at(2)));
        assert_eq!(
            task.tending(true, PATIENCE, at(600)),
            Tending::Ring(at(660)),
            "an hour at most"
        );
    }

    #[test]
    fn a_rest_is_not_cut_short() {
        let mut task = task();
        task.next_attempt_at = Some(NOON + 5 * MINUTE);
        assert_eq!(
            task.tending(false, PATIENCE, NOON + MINUTE),
            Tending::PutOff(NOON + 6 * MINUTE)
        );
        assert!(matches!(
            task.tending(false, PATIENCE, NOON + 5 * MINUTE),
            Tending::Ring(_)
        ));
    }

    #[test]
    fn a_lease_that_ran_out_is_taken_back_while_attempts_are_left() {
        let mut task = task();
        (task.status, task.attempt) = (Status::Processing, 1);
        task.lease_until = Some(NOON + MINUTE);
        assert_eq!(
            task.tending(false, PATIENCE, NOON + MINUTE),
            Tending::PutOff(NOON + MINUTE + CLOCK_MARGIN)
        );
        let late = NOON + 2 * MINUTE;
        assert_eq!(
            task.tending(true, PATIENCE, late),
            Tending::TakeBack(NOON + 4 * MINUTE)
        );
        task.attempt = 3;
        assert_eq!(task.tending(true, PATIENCE, late), Tending::Exhaust);
    }

    #[test]
    fn a_clock_that_is_behind_finds_nothing_old() {
        let task = task();
        let behind = NOON - 10 * MINUTE;
        assert_eq!(
            task.tending(true, PATIENCE, behind),
            Tending::PutOff(behind + MINUTE)
        );
    }
}

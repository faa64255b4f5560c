//! The transitions of one task, checked over random interleavings of two workers, a canceller, the sweeper and a redrive.
//!
//! Their clocks differ by up to ten minutes either way, messages are lost and duplicated, and workers die. The item changes by
//! the same conditional writes that the table receives.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "model/steps.rs"]
mod steps;

use std::time::Duration;

use jiff::Timestamp;
use mesh_task::{
    ClaimRefusal, ErrorCode, Isolation, Item, MAX_HISTORY, Message, Outcome, RetryPolicy, RunError,
    Settlement, Status, SweepAction, SweepPolicy, Task, TaskDraft, TaskType, Write, cancel, claim, testing,
};
use proptest::prelude::*;
use serde_json::Value;

use steps::{End, Skews, Step, skews, steps};

const LEASE: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: u32 = 3;
const SWEEP_POLICY: SweepPolicy = SweepPolicy {
    due_after: Duration::from_secs(60),
};
const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: MAX_ATTEMPTS,
    base: Duration::from_secs(2),
    cap: Duration::from_secs(900),
};

struct World {
    item: Item,
    now: Timestamp,
    skews: Skews,
    queue: Vec<Message>,
    /// The task of each worker, as its claim returned it.
    claimed: [Option<Task>; 2],
    seen_by_person: Option<Task>,
    seen_by_sweeper: Option<Task>,
    /// The generations in which the task was completed.
    completions: Vec<u32>,
    /// How the newest claim was made.
    isolation: Isolation,
    /// How many attempts of this generation are spent, as docs/SEMANTICS.md counts them. A running one is not among them.
    spent: u32,
}

impl World {
    fn new(skews: Skews) -> Self {
        let draft = TaskDraft {
            max_attempts: MAX_ATTEMPTS,
            ..testing::draft(TaskType::Sentiment)
        };
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let accepted = shifted(now, skews.people);
        let task = Task::new(draft, accepted, SWEEP_POLICY.first_check_at(accepted));
        let Value::Object(mut item) = serde_json::to_value(&task).unwrap() else {
            panic!("a task is an object")
        };
        item.insert("due_shard".to_owned(), task.id.shard().to_string().into());
        Self {
            item,
            now,
            skews,
            queue: vec![task.message()],
            claimed: [None, None],
            seen_by_person: None,
            seen_by_sweeper: None,
            completions: Vec::new(),
            isolation: Isolation::Batched,
            spent: 0,
        }
    }

    fn task(&self) -> Task {
        serde_json::from_value(Value::Object(self.item.clone())).unwrap()
    }

    /// Applies a write, and checks what must hold after any write.
    fn write(&mut self, write: &Write) -> bool {
        let before = self.task();
        let applied = write.apply(&mut self.item);
        let after = self.task();
        if !applied {
            assert_eq!(before, after);
            return false;
        }
        assert!(after.fence >= before.fence && after.generation >= before.generation);
        self.check_attempts(&before, &after);
        assert!(
            after.history.len() <= MAX_HISTORY + MAX_ATTEMPTS as usize,
            "{after:?}"
        );
        if before.status.is_final() && after.status != before.status {
            assert_eq!(
                after.status,
                Status::Pending,
                "only a redrive leaves a final status"
            );
            assert_ne!(
                before.status,
                Status::Completed,
                "a completed task is never redriven"
            );
            assert_eq!(after.generation, before.generation + 1);
        }
        if after.status == Status::Completed && before.status != Status::Completed {
            self.completions.push(after.generation);
            assert_eq!(self.completions.len(), 1, "a task is completed once");
        }
        let indexed = |name: &str| self.item.contains_key(name);
        assert_eq!(
            indexed("due_at") && indexed("due_shard"),
            !after.status.is_final(),
            "{after:?}"
        );
        assert_eq!(indexed("failed_tenant_shard"), after.status == Status::Failed);
        assert_eq!(after.result.is_some(), after.status == Status::Completed);
        assert_eq!(after.report.is_some(), after.status == Status::Completed);
        assert_eq!(after.lease_until.is_some(), after.status == Status::Processing);
        true
    }

    /// A crash spends an attempt only of a task that ran isolated, and so does a deadline.
    fn check_attempts(&mut self, before: &Task, after: &Task) {
        if after.generation != before.generation {
            self.spent = 0;
        } else if before.status == Status::Processing && after.status != Status::Processing {
            let is_spent = match after.history_with_outcomes().last().and_then(|last| last.outcome) {
                Some(Outcome::Throttled | Outcome::Interrupted) => false,
                Some(Outcome::Lost) => self.isolation == Isolation::Isolated,
                Some(_) => true,
                None => panic!("an attempt ended without an outcome: {after:?}"),
            };
            self.spent += u32::from(is_spent);
        }
        let running = u32::from(after.status == Status::Processing);
        assert_eq!(after.attempt, self.spent + running, "{after:?}");
        assert!(after.attempt <= after.max_attempts, "{after:?}");
        assert!(
            after.consecutive_crashes <= 1 + after.max_attempts,
            "each crash but the first spends an attempt: {after:?}"
        );
    }

    fn pick(&self, message: usize) -> Option<usize> {
        (!self.queue.is_empty()).then(|| message % self.queue.len())
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver {
                worker,
                message,
                has_room,
            } => self.deliver(worker, message, has_room),
            Step::Finish { worker, end } => self.finish(worker, end),
            Step::Renew { worker } => {
                if let Some(task) = self.claimed[worker].clone() {
                    let until = shifted(self.now, self.skews.workers[worker]) + LEASE;
                    if !self.write(&task.renew(until)) {
                        self.claimed[worker] = None;
                    }
                }
            }
            Step::Die { worker } => self.claimed[worker] = None,
            Step::Cancel => {
                let open = !self.task().status.is_final();
                let applied = self.write(&cancel(shifted(self.now, self.skews.people)));
                assert_eq!(
                    applied, open,
                    "a task that is not final can be cancelled at any time"
                );
            }
            Step::ReadBeforeRedrive => self.seen_by_person = Some(self.task()),
            Step::Redrive => self.redrive(),
            Step::ReadDue => self.read_due(),
            Step::Sweep { backlog } => self.sweep(backlog),
            Step::Wait { seconds } => self.now += Duration::from_secs(seconds.into()),
            Step::LoseMessage { message } => {
                if let Some(lost) = self.pick(message) {
                    self.queue.swap_remove(lost);
                }
            }
            Step::DuplicateMessage { message } => {
                if let Some(index) = self.pick(message) {
                    self.queue.push(self.queue[index].clone());
                }
            }
        }
    }

    /// A worker receives a message, and claims its task again if it is quarantined and the worker has room to isolate it. As in
    /// SQS, the message stays in the queue until the attempt has ended.
    fn deliver(&mut self, worker: usize, message: usize, has_room: bool) {
        let Some(delivered) = self.pick(message) else {
            return;
        };
        if self.claimed[worker].is_some() {
            return;
        }
        let message = self.queue[delivered].clone();
        let now = shifted(self.now, self.skews.workers[worker]);
        if self.claim(worker, &message, Isolation::Batched, now) {
            return;
        }
        let task = self.task();
        let is_quarantined = match task.claim_refusal(&message, now) {
            ClaimRefusal::NothingToDo => {
                self.queue.swap_remove(delivered);
                false
            }
            ClaimRefusal::AttemptsExhausted => {
                self.write(&task.fail_exhausted(now));
                false
            }
            ClaimRefusal::LeaseExpired => self.write(&task.reclaim(None, now)),
            ClaimRefusal::Quarantined { .. } => true,
            ClaimRefusal::NotBefore(_) => false,
        };
        if is_quarantined && has_room {
            assert!(
                self.claim(worker, &message, Isolation::Isolated, now),
                "an isolated claim accepts a quarantined task"
            );
        }
    }

    fn claim(&mut self, worker: usize, message: &Message, isolation: Isolation, now: Timestamp) -> bool {
        let applied = self.write(&claim(message, isolation, now, now + LEASE));
        if applied {
            self.isolation = isolation;
            self.claimed[worker] = Some(self.task());
        }
        applied
    }

    fn finish(&mut self, worker: usize, end: End) {
        let Some(task) = self.claimed[worker].take() else {
            return;
        };
        let now = shifted(self.now, self.skews.workers[worker]);
        let error = |class: fn(ErrorCode, &str) -> RunError| Err(class(ErrorCode::InferenceFailed, ""));
        let outcome = match end {
            End::Result => Ok(testing::finished()),
            End::Permanent => error(|code, message| RunError::permanent(code, message)),
            End::Transient => error(|code, message| RunError::transient(code, message)),
            End::Timeout => Err(RunError::timeout()),
            End::Throttled => error(|code, message| RunError::throttled(code, message, None)),
            // Only an attempt beside others is interrupted.
            End::Interrupted if task.consecutive_crashes > 1 => Err(RunError::timeout()),
            End::Interrupted => Err(RunError::interrupted()),
            End::Lost => Err(RunError::crashed()),
        };
        let write = match Settlement::new(outcome, &task, &POLICY, 0.5) {
            Settlement::Completed(finished) => task.complete(&finished, now),
            Settlement::Retry {
                failure,
                outcome,
                delay,
            } => task.schedule_retry(&failure, outcome, now + delay, None, now),
            Settlement::Failed { failure, outcome } => task.fail(&failure, outcome, now),
        };
        let newest = self.task().fence == task.fence;
        let applied = self.write(&write);
        assert_eq!(applied, newest, "only the newest claim can end the attempt");
        if applied && self.task().status.is_final() {
            let message = task.message();
            self.queue.retain(|other| *other != message);
        }
    }

    fn redrive(&mut self) {
        let Some(task) = self.seen_by_person.take() else {
            return;
        };
        let now = shifted(self.now, self.skews.people);
        if self.write(&task.redrive(
            SWEEP_POLICY.first_check_at(now),
            now + Duration::from_hours(24),
            now,
        )) {
            let message = self.task().message();
            self.queue.push(message);
        }
    }

    fn read_due(&mut self) {
        let task = self.task();
        let now = shifted(self.now, self.skews.sweeper);
        self.seen_by_sweeper = Some(task).filter(|task| task.due_at.is_some_and(|due_at| due_at <= now));
    }

    fn sweep(&mut self, backlog: bool) {
        let Some(task) = self.seen_by_sweeper.take() else {
            return;
        };
        let now = shifted(self.now, self.skews.sweeper);
        match task.sweep_action(backlog, SWEEP_POLICY, now) {
            SweepAction::Nothing => {}
            SweepAction::DeferCheck(due_at) => {
                self.write(&task.defer_check(due_at));
            }
            SweepAction::Requeue(due_at) => {
                self.queue.push(task.message());
                self.write(&task.defer_check(due_at));
            }
            SweepAction::Reclaim(due_at) => {
                if self.write(&task.reclaim(Some(due_at), now)) {
                    self.queue.push(task.message());
                }
            }
            SweepAction::FailExhausted => {
                self.write(&task.fail_exhausted(now));
            }
        }
    }
}

fn shifted(now: Timestamp, skew: i64) -> Timestamp {
    now + jiff::SignedDuration::from_secs(skew)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Each write checks safety. This test also checks liveness: after its workers died and all its messages were lost, the
    /// sweeper and one live worker bring the task to a final status.
    #[test]
    fn after_any_steps_the_task_ends_once(skews in skews(), steps in steps()) {
        let mut world = World::new(skews);
        for step in steps {
            world.step(step);
        }
        world.claimed = [None, None];
        world.queue.clear();
        for _ in 0..200 {
            if world.task().status.is_final() {
                break;
            }
            for step in [
                Step::Wait { seconds: 60 },
                Step::ReadDue,
                Step::Sweep { backlog: false },
                Step::Deliver { worker: 0, message: 0, has_room: true },
                Step::Finish { worker: 0, end: End::Result },
            ] {
                world.step(step);
            }
        }
        let task = world.task();
        prop_assert!(task.status.is_final(), "{:?} did not end, {:?}", task, world.skews);
        let before = world.item.clone();
        world.queue.push(task.message());
        world.step(Step::Deliver { worker: 1, message: 0, has_room: true });
        prop_assert_eq!(world.item, before, "a message for a final task changes nothing");
    }
}

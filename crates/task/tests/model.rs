//! The moves of one task, checked over random interleavings of two workers, a canceller, a janitor and a redrive whose
//! clocks differ by up to ten minutes either way, with messages lost and doubled and workers that die. The item is kept
//! by the same conditional writes that the table is sent.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "model/steps.rs"]
mod steps;

use std::time::Duration;

use jiff::Timestamp;
use mesh_task::{
    ClaimRefusal, Finished, Isolation, Item, MAX_HISTORY, Message, ModelName, Payload, Report, RetryPolicy,
    RunError, Sentiment, SentimentLabel, Settlement, Size, Status, StoredResult, SweepAction, SweepPolicy,
    Task, TaskDraft, TaskId, TaskResult, TaskType, Tenant, Timings, WorkerKind, Write, cancel, claim, code,
};
use proptest::prelude::*;
use serde_json::Value;

use steps::{End, Skews, Step, skews, steps};

const LEASE: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: u32 = 3;
const PATIENCE: SweepPolicy = SweepPolicy {
    due_after: Duration::from_secs(60),
};
const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: MAX_ATTEMPTS,
    base: Duration::from_secs(2),
    cap: Duration::from_secs(900),
};
fn finished() -> Finished {
    let result = TaskResult::Sentiment(Sentiment {
        label: SentimentLabel::Positive,
        score: 1.0,
        positive: 1.0,
    });
    let model = ModelName {
        name: "model".to_owned(),
        version: "1".to_owned(),
    };
    let timings = Timings {
        queued_ms: 1,
        load_ms: 2,
        inference_ms: 3,
    };
    Finished {
        result: StoredResult::Inline(result),
        report: Report {
            model,
            timings,
            usage: None,
        },
    }
}

struct World {
    item: Item,
    now: Timestamp,
    skews: Skews,
    queue: Vec<Message>,
    /// What each worker holds, as its claim returned it.
    held: [Option<Task>; 2],
    seen_by_person: Option<Task>,
    seen_by_janitor: Option<Task>,
    /// The side effects: in which generation the task was completed.
    completions: Vec<u32>,
}

impl World {
    fn new(skews: Skews) -> Self {
        let draft = TaskDraft {
            id: TaskId::generate(),
            tenant: Tenant::first(),
            task_type: TaskType::Sentiment,
            modality: WorkerKind::Text,
            size: Size::Small,
            priority: mesh_task::Priority::Normal,
            payload: Payload::Inline(serde_json::json!({ "text": "fine" })),
            metadata: [].into(),
            max_attempts: MAX_ATTEMPTS,
            timeout_seconds: None,
            correlation_id: String::new(),
        };
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let accepted = off(now, skews.people);
        let task = Task::new(draft, accepted, PATIENCE.first_check_at(accepted));
        let Value::Object(mut item) = serde_json::to_value(&task).unwrap() else {
            panic!("a task is an object")
        };
        item.insert("due_shard".to_owned(), task.id.shard().to_string().into());
        Self {
            item,
            now,
            skews,
            queue: vec![task.message()],
            held: [None, None],
            seen_by_person: None,
            seen_by_janitor: None,
            completions: Vec::new(),
        }
    }

    fn task(&self) -> Task {
        serde_json::from_value(Value::Object(self.item.clone())).unwrap()
    }

    /// Writes, and checks what must hold of any write that lands.
    fn write(&mut self, write: &Write) -> bool {
        let before = self.task();
        let landed = write.apply(&mut self.item);
        let after = self.task();
        if !landed {
            assert_eq!(before, after);
            return false;
        }
        assert!(after.fence >= before.fence && after.generation >= before.generation);
        assert!(after.attempt <= after.max_attempts, "{after:?}");
        assert!(
            after.history.len() <= MAX_HISTORY + MAX_ATTEMPTS as usize,
            "{after:?}"
        );
        if before.status.is_final() && after.status != before.status {
            assert_eq!(after.status, Status::Pending, "final is final");
            assert_ne!(
                before.status,
                Status::Completed,
                "a completed task has no redrive"
            );
            assert_eq!(after.generation, before.generation + 1);
        }
        if after.status == Status::Completed && before.status != Status::Completed {
            self.completions.push(after.generation);
            assert_eq!(self.completions.len(), 1, "completed once, ever");
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

    fn pick(&self, message: usize) -> Option<usize> {
        (!self.queue.is_empty()).then(|| message % self.queue.len())
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver {
                worker,
                message,
                alone,
            } => self.deliver(worker, message, alone),
            Step::Finish { worker, end } => self.finish(worker, end),
            Step::Renew { worker } => {
                if let Some(task) = self.held[worker].clone() {
                    let until = off(self.now, self.skews.workers[worker]) + LEASE;
                    if !self.write(&task.renew(until)) {
                        self.held[worker] = None;
                    }
                }
            }
            Step::Die { worker } => self.held[worker] = None,
            Step::Cancel => {
                let open = !self.task().status.is_final();
                let landed = self.write(&cancel(off(self.now, self.skews.people)));
                assert_eq!(landed, open, "whatever is not final can be cancelled, at once");
            }
            Step::LookToRedrive => self.seen_by_person = Some(self.task()),
            Step::Redrive => self.redrive(),
            Step::LookForOverdue => self.look_for_overdue(),
            Step::Tend { backlog } => self.tend(backlog),
            Step::Wait { seconds } => self.now += Duration::from_secs(seconds.into()),
            Step::LoseMessage { message } => {
                if let Some(lost) = self.pick(message) {
                    self.queue.swap_remove(lost);
                }
            }
            Step::DoubleMessage { message } => {
                if let Some(doubled) = self.pick(message) {
                    self.queue.push(self.queue[doubled].clone());
                }
            }
        }
    }

    /// A worker takes a message. It stays in the queue until the worker has ended the attempt, as in SQS.
    fn deliver(&mut self, worker: usize, message: usize, alone: bool) {
        let Some(delivered) = self.pick(message) else {
            return;
        };
        if self.held[worker].is_some() {
            return;
        }
        let message = self.queue[delivered].clone();
        let now = off(self.now, self.skews.workers[worker]);
        let isolation = if alone {
            Isolation::Isolated
        } else {
            Isolation::Batched
        };
        if self.write(&claim(&message, isolation, now, now + LEASE)) {
            self.held[worker] = Some(self.task());
            return;
        }
        let task = self.task();
        match task.claim_refusal(&message, now) {
            ClaimRefusal::NothingToDo => {
                self.queue.swap_remove(delivered);
            }
            ClaimRefusal::AttemptsExhausted => {
                self.write(&task.fail_exhausted(now));
            }
            ClaimRefusal::NotBefore(_) | ClaimRefusal::Quarantined { .. } => {}
        }
    }

    fn finish(&mut self, worker: usize, end: End) {
        let Some(task) = self.held[worker].take() else {
            return;
        };
        let now = off(self.now, self.skews.workers[worker]);
        let error = |class: fn(&'static str, &str) -> RunError| Err(class(code::INFERENCE_FAILED, ""));
        let outcome = match end {
            End::Result => Ok(finished()),
            End::Permanent => error(|code, told| RunError::permanent(code, told)),
            End::Transient => error(|code, told| RunError::transient(code, told)),
            End::Timeout => Err(RunError::timeout()),
            End::Throttled => error(|code, told| RunError::throttled(code, told, None)),
        };
        let write = match Settlement::of(outcome, &task, &POLICY, 0.5) {
            Settlement::Completed(finished) => task.complete(&finished, now),
            Settlement::Retry {
                failure,
                outcome,
                delay,
            } => task.schedule_retry(&failure, outcome, now + delay, None, now),
            Settlement::Failed { failure, outcome } => task.fail(&failure, outcome, now),
        };
        let newest = self.task().fence == task.fence;
        let landed = self.write(&write);
        assert_eq!(landed, newest, "the newest claim's end lands, and no other");
        if landed && self.task().status.is_final() {
            let message = task.message();
            self.queue.retain(|other| *other != message);
        }
    }

    fn redrive(&mut self) {
        let Some(task) = self.seen_by_person.take() else {
            return;
        };
        let now = off(self.now, self.skews.people);
        if self.write(&task.redrive(PATIENCE.first_check_at(now), now + Duration::from_hours(24), now)) {
            let message = self.task().message();
            self.queue.push(message);
        }
    }

    fn look_for_overdue(&mut self) {
        let task = self.task();
        let now = off(self.now, self.skews.janitor);
        self.seen_by_janitor = Some(task).filter(|task| task.due_at.is_some_and(|due_at| due_at <= now));
    }

    fn tend(&mut self, backlog: bool) {
        let Some(task) = self.seen_by_janitor.take() else {
            return;
        };
        let now = off(self.now, self.skews.janitor);
        match task.sweep_action(backlog, PATIENCE, now) {
            SweepAction::Nothing => {}
            SweepAction::DeferCheck(due_at) => {
                self.write(&task.defer_check(due_at));
            }
            SweepAction::Requeue(due_at) => {
                self.queue.push(task.message());
                self.write(&task.defer_check(due_at));
            }
            SweepAction::Reclaim(due_at) => {
                if self.write(&task.reclaim(due_at, now)) {
                    self.queue.push(task.message());
                }
            }
            SweepAction::FailExhausted => {
                self.write(&task.fail_exhausted(now));
            }
        }
    }
}

fn off(now: Timestamp, skew: i64) -> Timestamp {
    now + jiff::SignedDuration::from_secs(skew)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Safety is checked by every write; here also that whatever happened, the task then ends: its workers may have died
    /// and all its messages may be lost, the janitor and one worker that lives bring it to a final state.
    #[test]
    fn whatever_happens_the_task_ends_once(skews in skews(), steps in steps()) {
        let mut world = World::new(skews);
        for step in steps {
            world.step(step);
        }
        world.held = [None, None];
        world.queue.clear();
        for _ in 0..200 {
            if world.task().status.is_final() {
                break;
            }
            for step in [
                Step::Wait { seconds: 60 },
                Step::LookForOverdue,
                Step::Tend { backlog: false },
                Step::Deliver { worker: 0, message: 0, alone: true },
                Step::Finish { worker: 0, end: End::Result },
            ] {
                world.step(step);
            }
        }
        let task = world.task();
        prop_assert!(task.status.is_final(), "{:?} after all, {:?}", task, world.skews);
        let before = world.item.clone();
        world.queue.push(task.message());
        world.step(Step::Deliver { worker: 1, message: 0, alone: true });
        prop_assert_eq!(world.item, before, "a message for a finished task does nothing");
    }
}

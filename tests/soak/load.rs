//! Submits what is planned, rings more than once, cancels and revives: as clients do, who try again until they are
//! answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mesh_tests::{Api, Cloud, Reply, setting};

use crate::ledger::Ledger;
use crate::plan::{Plan, Planned};

const CLIENTS: usize = 6;
/// So many tasks may be open before the clients hold back: else nothing is ever cancelled while it runs.
const MAX_OPEN: usize = 600;
const PATIENCE: Duration = Duration::from_secs(180);

/// What a client was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) id: String,
    /// Whether its cancel was confirmed.
    pub(crate) is_cancelled: bool,
    /// Whether the answer to a cancel got lost, and the next one said that the task was final already.
    pub(crate) may_be_cancelled: bool,
    /// Whether it was given new attempts after that.
    pub(crate) is_revived: bool,
}

#[derive(Debug)]
pub(crate) struct Load<'a> {
    plan: &'a Plan,
    ledger: &'a Ledger,
    next: AtomicUsize,
    answers: Mutex<HashMap<u32, Answer>>,
}

impl<'a> Load<'a> {
    pub(crate) fn new(plan: &'a Plan, ledger: &'a Ledger) -> Self {
        Self {
            plan,
            ledger,
            next: AtomicUsize::new(0),
            answers: Mutex::default(),
        }
    }

    /// What became of the submissions.
    pub(crate) fn answers(&self) -> HashMap<u32, Answer> {
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Submits everything.
    pub(crate) fn run(&self) {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.submit_all());
            }
        });
    }

    fn submit_all(&self) {
        let (api, cloud) = (Api::new(), Cloud::new());
        // Those to be cancelled, each at its time.
        let mut waiting: Vec<(Instant, &Planned, String)> = Vec::new();
        while let Some(task) = self.plan.tasks.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            while self.ledger.counts().open > MAX_OPEN {
                self.cancel_due(&api, &mut waiting);
                thread::sleep(Duration::from_millis(50));
            }
            let Some(id) = self.submit(&api, task) else {
                continue;
            };
            for _ in 0..task.duplicates {
                // One that gets lost is one duplicate less.
                let _lost = cloud.try_send(&setting(task.queue()), &mesh_tests::message(&id, 1));
            }
            self.note(task, |answer| answer.id.clone_from(&id));
            if let Some(after) = task.cancelled_after {
                waiting.push((Instant::now() + after, task, id));
            }
            self.cancel_due(&api, &mut waiting);
        }
        while !waiting.is_empty() {
            self.cancel_due(&api, &mut waiting);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn note(&self, task: &Planned, change: impl FnOnce(&mut Answer)) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        change(answers.entry(task.number).or_default());
    }

    fn submit(&self, api: &Api, task: &Planned) -> Option<String> {
        let (key, body) = (self.plan.key(task), self.plan.body(task).to_string());
        let headers = [
            ("x-service-token", api.token()),
            ("content-type", "application/json"),
            ("idempotency-key", &key),
        ];
        let send = || api.try_send("POST", "/v1/tasks", &headers, Some(body.as_bytes()));
        let (reply, _) = until_answered(send)?;
        if reply.status == 202 {
            return Some(reply.text("id").to_owned());
        }
        println!("soak: task {} was refused: {reply:?}", task.number);
        None
    }

    fn cancel_due(&self, api: &Api, waiting: &mut Vec<(Instant, &Planned, String)>) {
        let now = Instant::now();
        for (_, task, id) in waiting.extract_if(.., |(time, ..)| *time <= now) {
            let headers = [("x-service-token", api.token())];
            let act = |what: &str| {
                let path = format!("/v1/tasks/{id}/{what}");
                until_answered(|| api.try_send("POST", &path, &headers, None))
            };
            match act("cancel") {
                Some((reply, _)) if reply.status == 200 => {
                    self.note(task, |answer| answer.is_cancelled = true);
                    let revived = task.is_revived
                        && act("retry").is_some_and(|(reply, tries)| reply.status == 202 || tries > 1);
                    self.note(task, |answer| answer.is_revived = revived);
                }
                Some((_, tries)) => self.note(task, |answer| answer.may_be_cancelled = tries > 1),
                None => {}
            }
        }
    }
}

/// Tries until there is an answer that is not about the server's own trouble, and says how many tries that took.
fn until_answered(send: impl Fn() -> Result<Reply, ureq::Error>) -> Option<(Reply, u32)> {
    let started = Instant::now();
    for tries in 1.. {
        match send() {
            Ok(reply) if reply.status < 500 && reply.status != 429 => return Some((reply, tries)),
            Ok(_) | Err(_) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(200)),
            failed => {
                println!("soak: a request was tried in vain for {PATIENCE:?}: {failed:?}");
                return None;
            }
        }
    }
    None
}

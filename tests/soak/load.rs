//! The load: submits the planned tasks, sends duplicate messages, cancels, retries and redrives. Its clients repeat each
//! request until they get a response.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mesh_tests::{Api, Reply};
use serde_json::{Value, json};

use crate::cut;
use crate::home::Home;
use crate::ledger::Ledger;
use crate::plan::{Plan, Planned, Submission};

/// The number of concurrent clients.
const CLIENTS: usize = 6;
/// How long a client repeats a request.
const TIMEOUT: Duration = Duration::from_secs(180);
/// The pause before a request is repeated, and between two looks at the dead letters.
const PAUSE: Duration = Duration::from_millis(200);
/// The most tasks that a request redrives.
const MAX_REDRIVEN: usize = 100;

/// What the API confirmed to a client about one task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confirmed {
    pub(crate) id: String,
    /// Whether the cancellation was confirmed.
    pub(crate) is_cancelled: bool,
    /// Whether the response to a cancellation was lost, and a repeat found the task final.
    pub(crate) may_be_cancelled: bool,
    /// Whether the cancelled task was then retried.
    pub(crate) is_retried: bool,
    /// Whether the dead letter was redriven.
    pub(crate) is_redriven: bool,
}

impl Confirmed {
    pub(crate) fn generation(&self) -> i64 {
        1 + i64::from(self.is_retried) + i64::from(self.is_redriven)
    }
}

pub(crate) struct Load<'a> {
    plan: &'a Plan,
    home: &'a dyn Home,
    ledger: &'a Ledger,
    is_over: &'a AtomicBool,
    next: AtomicUsize,
    confirmed: Mutex<HashMap<u32, Confirmed>>,
}

impl<'a> Load<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        home: &'a dyn Home,
        ledger: &'a Ledger,
        is_over: &'a AtomicBool,
    ) -> Self {
        Self {
            plan,
            home,
            ledger,
            is_over,
            next: AtomicUsize::new(0),
            confirmed: Mutex::default(),
        }
    }

    /// What was confirmed about each task, by its number in the plan.
    pub(crate) fn confirmed(&self) -> HashMap<u32, Confirmed> {
        self.confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the ledger contains every task in the generation that the API confirmed.
    pub(crate) fn is_in_ledger(&self) -> bool {
        let confirmed = self.confirmed();
        let entries = self.ledger.entries();
        self.plan.tasks.iter().all(|task| {
            let stored = entries.tasks.get(&task.number).map(|task| task.last.generation);
            confirmed.get(&task.number).map(Confirmed::generation) == stored && stored.is_some()
        })
    }

    pub(crate) fn run(&self) {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.submit_all());
            }
            scope.spawn(|| self.redrive_dead());
        });
    }

    fn submit_all(&self) {
        let api = Api::new();
        // The tasks to cancel, each with its time.
        let mut waiting: Vec<(Instant, &Planned, String)> = Vec::new();
        while let Some(submission) = self
            .plan
            .submissions
            .get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            while self.ledger.counts().open > self.home.profile().max_open {
                self.cancel_due(&api, &mut waiting);
                thread::sleep(Duration::from_millis(50));
            }
            let ids = self.submit(&api, submission);
            for (task, id) in self.plan.tasks[submission.tasks.clone()].iter().zip(ids) {
                for _ in 0..task.duplicates {
                    self.home.send_duplicate(task, &id);
                }
                self.confirm(task, |confirmed| confirmed.id.clone_from(&id));
                if let Some(after) = task.cancelled_after {
                    waiting.push((Instant::now() + after, task, id));
                }
            }
            self.cancel_due(&api, &mut waiting);
        }
        while !waiting.is_empty() {
            self.cancel_due(&api, &mut waiting);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn confirm(&self, task: &Planned, change: impl FnOnce(&mut Confirmed)) {
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        change(confirmed.entry(task.number).or_default());
    }

    /// Returns the tasks' ids in order, or none if the request was refused.
    fn submit(&self, api: &Api, submission: &Submission) -> Vec<String> {
        let (key, (path, body)) = (self.plan.key(submission), self.plan.request(submission));
        let body = body.to_string();
        let headers = [
            ("x-service-token", api.token()),
            ("content-type", "application/json"),
            ("idempotency-key", &key),
        ];
        if let Some(cut) = submission.cut {
            // The stack may be down.
            let _ = cut::send(cut, path, &headers, &body);
        }
        let send = || api.try_send("POST", path, &headers, Some(body.as_bytes()));
        let Some((reply, _)) = repeat_until_answered(send) else {
            return Vec::new();
        };
        let id = |task: &Value| task["id"].as_str().map(str::to_owned);
        let ids: Option<Vec<_>> = match reply.body["results"].as_array() {
            Some(results) => results.iter().map(|result| id(&result["task"])).collect(),
            None => id(&reply.body).map(|id| vec![id]),
        };
        ids.filter(|ids| reply.status == 202 && ids.len() == submission.tasks.len())
            .unwrap_or_else(|| {
                println!("soak: the tasks {:?} were refused: {reply:?}", submission.tasks);
                Vec::new()
            })
    }

    fn cancel_due(&self, api: &Api, waiting: &mut Vec<(Instant, &Planned, String)>) {
        let now = Instant::now();
        for (_, task, id) in waiting.extract_if(.., |(time, ..)| *time <= now) {
            let post = |action: &str| post(api, &format!("/v1/tasks/{id}/{action}"), None);
            match post("cancel") {
                Some((reply, _)) if reply.status == 200 => {
                    self.confirm(task, |confirmed| confirmed.is_cancelled = true);
                    let is_retried = task.is_retried
                        && post("retry").is_some_and(|(reply, tries)| reply.status == 202 || tries > 1);
                    self.confirm(task, |confirmed| confirmed.is_retried = is_retried);
                }
                Some((_, tries)) => self.confirm(task, |confirmed| confirmed.may_be_cancelled = tries > 1),
                None => {}
            }
        }
    }

    /// Redrives the planned dead letters, several at once, as they fail.
    fn redrive_dead(&self) {
        let api = Api::new();
        let mut waiting: Vec<_> = self.plan.tasks.iter().filter(|task| task.is_redriven).collect();
        while !waiting.is_empty() && !self.is_over.load(Ordering::Relaxed) {
            let dead: Vec<_> = {
                let entries = self.ledger.entries();
                let is_dead = |task: &&Planned| {
                    let entry = entries.tasks.get(&task.number);
                    entry.is_some_and(|entry| entry.last.is_dead_letter())
                };
                let dead = waiting.iter().copied().filter(is_dead).take(MAX_REDRIVEN);
                dead.map(|task| (task, entries.tasks[&task.number].last.id.clone()))
                    .collect()
            };
            if dead.is_empty() {
                thread::sleep(PAUSE);
                continue;
            }
            let ids: Vec<_> = dead.iter().map(|(_, id)| id).collect();
            let body = json!({ "ids": ids });
            if post(&api, "/v1/dead-letters/redrive", Some(&body)).is_none() {
                return;
            }
            // A repeat skips what the request before it had redriven. The ledger shows whether all were.
            for (task, _) in dead {
                self.confirm(task, |confirmed| confirmed.is_redriven = true);
                waiting.retain(|other| other.number != task.number);
            }
        }
    }
}

fn post(api: &Api, path: &str, body: Option<&Value>) -> Option<(Reply, u32)> {
    let headers = [
        ("x-service-token", api.token()),
        ("content-type", "application/json"),
    ];
    let body = body.map(Value::to_string);
    repeat_until_answered(|| api.try_send("POST", path, &headers, body.as_deref().map(str::as_bytes)))
}

/// Repeats a request until its response is neither a server error nor 429. Returns the response and the number of tries.
fn repeat_until_answered(send: impl Fn() -> Result<Reply, ureq::Error>) -> Option<(Reply, u32)> {
    let started = Instant::now();
    for tries in 1.. {
        match send() {
            Ok(reply) if is_final(&reply) => return Some((reply, tries)),
            Ok(_) | Err(_) if started.elapsed() < TIMEOUT => thread::sleep(PAUSE),
            failed => {
                println!("soak: a request failed for {TIMEOUT:?}: {failed:?}");
                return None;
            }
        }
    }
    None
}

/// Whether a repeat would be answered in the same way. A batch is repeated as a whole if an entry failed.
fn is_final(reply: &Reply) -> bool {
    let is_final = |status: u64| status < 500 && status != 429;
    let entries = reply.body["results"].as_array().into_iter().flatten();
    is_final(reply.status.into()) && entries.filter_map(|entry| entry["status"].as_u64()).all(is_final)
}

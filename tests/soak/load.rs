//! The load: submits the planned tasks, sends duplicate messages, cancels and retries. Its clients repeat each request
//! until they get a response.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mesh_tests::{Api, Cloud, Reply, setting};

use crate::ledger::Ledger;
use crate::plan::{Plan, Planned};

/// The number of concurrent clients.
const CLIENTS: usize = 6;
/// Above this number of open tasks the clients pause, so that some tasks run when their cancellation is due.
const MAX_OPEN: usize = 600;
/// How long a client repeats a request.
const TIMEOUT: Duration = Duration::from_secs(180);

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
}

#[derive(Debug)]
pub(crate) struct Load<'a> {
    plan: &'a Plan,
    ledger: &'a Ledger,
    next: AtomicUsize,
    confirmed: Mutex<HashMap<u32, Confirmed>>,
}

impl<'a> Load<'a> {
    pub(crate) fn new(plan: &'a Plan, ledger: &'a Ledger) -> Self {
        Self {
            plan,
            ledger,
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

    pub(crate) fn run(&self) {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.submit_all());
            }
        });
    }

    fn submit_all(&self) {
        let (api, cloud) = (Api::new(), Cloud::new());
        // The tasks to cancel, each with its time.
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
                // A duplicate that is lost is not sent again.
                let _lost = cloud.try_send_body(&setting(task.queue()), &mesh_tests::message_body(&id, 1));
            }
            self.confirm(task, |confirmed| confirmed.id.clone_from(&id));
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

    fn confirm(&self, task: &Planned, change: impl FnOnce(&mut Confirmed)) {
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        change(confirmed.entry(task.number).or_default());
    }

    fn submit(&self, api: &Api, task: &Planned) -> Option<String> {
        let (key, body) = (self.plan.key(task), self.plan.body(task).to_string());
        let headers = [
            ("x-service-token", api.token()),
            ("content-type", "application/json"),
            ("idempotency-key", &key),
        ];
        let send = || api.try_send("POST", "/v1/tasks", &headers, Some(body.as_bytes()));
        let (reply, _) = repeat_until_answered(send)?;
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
            let post = |action: &str| {
                let path = format!("/v1/tasks/{id}/{action}");
                repeat_until_answered(|| api.try_send("POST", &path, &headers, None))
            };
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
}

/// Repeats a request until its response is neither a server error nor 429. Returns the response and the number of tries.
fn repeat_until_answered(send: impl Fn() -> Result<Reply, ureq::Error>) -> Option<(Reply, u32)> {
    let started = Instant::now();
    for tries in 1.. {
        match send() {
            Ok(reply) if reply.status < 500 && reply.status != 429 => return Some((reply, tries)),
            Ok(_) | Err(_) if started.elapsed() < TIMEOUT => thread::sleep(Duration::from_millis(200)),
            failed => {
                println!("soak: a request failed for {TIMEOUT:?}: {failed:?}");
                return None;
            }
        }
    }
    None
}

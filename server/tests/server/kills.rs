//! The server and its children are killed at random moments under load. Nothing that was answered may be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Server, folder, pid, test_file};

const KILLS: usize = 50;
const CLIENTS: u64 = 3;
/// A kill comes at most this long after the load began again, in milliseconds.
const LONGEST_ROUND: u64 = 400;
/// How many tasks are submitted. From then on the clients only read, cancel and repeat.
const MAX_TASKS: usize = 600;
/// One of so many tasks is of the types that take long.
const RARE: usize = 25;

/// What the clients were told.
#[derive(Default)]
struct Ledger {
    /// The id of each idempotency key that was answered.
    accepted: BTreeMap<String, String>,
    /// The tasks that were seen final, as they were seen first.
    ended: BTreeMap<String, Value>,
    submitted: usize,
}

struct Load {
    ledger: Mutex<Ledger>,
    inputs: Vec<(&'static str, Value)>,
    stopped: AtomicBool,
}

impl Load {
    fn new() -> Self {
        let text = json!({ "text": "A wonderful trip to Rome." });
        let file = |name, field: &str| json!({ field: STANDARD.encode(test_file(name)) });
        Self {
            ledger: Mutex::default(),
            inputs: vec![
                ("sentiment", text.clone()),
                ("classify", text.clone()),
                ("embed", text.clone()),
                ("summarize", text),
                ("translate", json!({ "text": "Rome", "target_language": "de" })),
                ("ocr", file("page.png", "image")),
                ("face_detection", file("chelsea.png", "image")),
                ("transcribe", file("beckett.wav", "audio")),
            ],
            stopped: AtomicBool::new(false),
        }
    }

    fn ledger<T>(&self, with: impl FnOnce(&mut Ledger) -> T) -> T {
        with(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The task of a key: text tasks mostly, and the long ones now and then.
    fn body(&self, key: &str) -> Value {
        let number: usize = key
            .rsplit('-')
            .next()
            .and_then(|number| number.parse().ok())
            .expect("a number");
        let texts = self.inputs.len() - 3;
        let index = if number.is_multiple_of(RARE) {
            texts + number / RARE % 3
        } else {
            number % texts
        };
        let (task_type, input) = &self.inputs[index];
        // Each kill of a child that runs one isolated task spends an attempt. With three, a task may be exhausted by chance.
        json!({ "type": task_type, "input": input, "max_attempts": 10 })
    }

    /// Submits, repeats, cancels and reads tasks until the load is stopped.
    fn run(&self, server: &Server, random: &mut Rng) {
        while !self.stopped.load(Ordering::Relaxed) {
            let known = self.ledger(|ledger| {
                random
                    .choice(ledger.accepted.iter())
                    .map(|(key, id)| (key.clone(), id.clone()))
            });
            match (random.u8(..10), known) {
                (0, Some((_, id))) => {
                    self.see(server.try_post(&format!("/v1/tasks/{id}/cancel"), None, &json!({})));
                }
                (1..4, Some((_, id))) => self.see(server.try_get(&format!("/v1/tasks/{id}"))),
                (4, Some((key, _))) => self.submit(server, key),
                _ => {
                    let number = self.ledger(|ledger| {
                        ledger.submitted += 1;
                        ledger.submitted
                    });
                    if number <= MAX_TASKS {
                        self.submit(server, format!("task-{number}"));
                    }
                }
            }
        }
    }

    /// Submits the task of a key, which may have been submitted before.
    fn submit(&self, server: &Server, key: String) {
        if let Some(task) = server.try_post("/v1/tasks", Some(&key), &self.body(&key)) {
            let id = task["id"].as_str().unwrap_or_else(|| panic!("{task}")).to_owned();
            let before = self.ledger(|ledger| ledger.accepted.insert(key, id.clone()));
            assert!(
                before.is_none_or(|before| before == id),
                "a key has one task: {id}"
            );
        }
    }

    /// Remembers a task that has ended. What had ended before must be as it was.
    fn see(&self, task: Option<Value>) {
        let Some(task) = task.filter(is_final) else { return };
        let id = task["id"].as_str().unwrap_or_else(|| panic!("{task}")).to_owned();
        let first = self.ledger(|ledger| ledger.ended.entry(id).or_insert_with(|| task.clone()).clone());
        for field in ["status", "result", "error", "attempt", "attempts"] {
            assert_eq!(first[field], task[field], "an end stays: {first} {task}");
        }
    }

    /// All that was answered is there.
    fn check(&self, server: &Server) {
        let (accepted, ended) = self.ledger(|ledger| (ledger.accepted.clone(), ledger.ended.clone()));
        let stored = statuses(server);
        for id in accepted.values() {
            let status = stored
                .get(id)
                .unwrap_or_else(|| panic!("{id} was accepted and is lost"));
            assert!(
                ended.get(id).is_none_or(|end| end["status"] == *status),
                "the end of {id} is lost"
            );
        }
    }
}

/// The status of each stored task.
fn statuses(server: &Server) -> BTreeMap<String, Value> {
    let mut statuses = BTreeMap::new();
    let mut page = server.get("/v1/tasks?limit=100");
    loop {
        let tasks = page["tasks"].as_array().expect("a list").iter();
        statuses.extend(tasks.map(|task| {
            (
                task["id"].as_str().expect("an id").to_owned(),
                task["status"].clone(),
            )
        }));
        let Some(cursor) = page["next_cursor"].as_str() else {
            return statuses;
        };
        page = server.get(&format!("/v1/tasks?limit=100&cursor={cursor}"));
    }
}

fn is_final(task: &Value) -> bool {
    matches!(
        task["status"].as_str(),
        Some("completed" | "failed" | "cancelled")
    )
}

/// Kills the server, or some of its children, at a random moment under load. Returns how many children it killed.
fn kill_under_load(
    server: &Server,
    children: &mut Vec<Pid>,
    load: &Load,
    random: &mut Rng,
    kills_server: bool,
) -> usize {
    load.stopped.store(false, Ordering::Relaxed);
    let mut killed = 0;
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let mut random = random.fork();
            scope.spawn(move || load.run(server, &mut random));
        }
        // The random moment.
        thread::sleep(Duration::from_millis(random.u64(..LONGEST_ROUND)));
        children.extend(server.new_children());
        if !kills_server {
            // Of those that are left alone some have ended with an earlier server or a kill.
            for child in children.extract_if(.., |_| random.bool()) {
                killed += usize::from(kill_process(child, Signal::KILL).is_ok());
            }
        }
        if kills_server {
            kill_process(pid(&server.process.id().into()), Signal::KILL).expect("the server can be killed");
        }
        load.stopped.store(true, Ordering::Relaxed);
    });
    killed
}

fn finish(server: &Server, load: &Load) -> Vec<Value> {
    let keys: Vec<_> = (1..=load.ledger(|ledger| ledger.submitted.min(MAX_TASKS)))
        .map(|number| format!("task-{number}"))
        .collect();
    for key in keys {
        load.submit(server, key);
    }
    let ids: Vec<_> = load.ledger(|ledger| ledger.accepted.values().cloned().collect());
    ids.iter()
        .map(|id| {
            let task = server.finished(id);
            load.see(Some(task.clone()));
            task
        })
        .collect()
}

/// How often each task became final, as the change log has it.
fn ends(server: &Server, after: &str) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    let mut after = after.to_owned();
    loop {
        let page = server.get(&format!("/v1/changes?after={after}"));
        let changes = page["changes"].as_array().expect("a list");
        if changes.is_empty() {
            return ends;
        }
        for change in changes.iter().filter(|change| is_final(change)) {
            *ends
                .entry(change["id"].as_str().expect("an id").to_owned())
                .or_default() += 1;
        }
        page["next"].as_str().expect("a cursor").clone_into(&mut after);
    }
}

/// How the task's attempts ended. One that a cancel cut off has no outcome.
fn outcomes(task: &Value) -> impl Iterator<Item = String> {
    let attempts = task["attempts"].as_array().expect("a list").iter();
    attempts.filter_map(|attempt| Some(attempt["outcome"].as_str()?.to_owned()))
}

/// How many attempts were spent before the one that ended the task.
fn spent_by_kills(task: &Value) -> usize {
    let attempt = task["attempt"]
        .as_u64()
        .and_then(|attempt| usize::try_from(attempt).ok());
    let lost = outcomes(task).filter(|outcome| outcome == "lost").count();
    attempt.expect("a number").saturating_sub(1).min(lost)
}

fn start(data: &Path) -> Server {
    Server::start_with(data, &["--concurrency", "2"])
}

#[test]
fn fifty_kills_of_server_and_children_lose_nothing() {
    let data = folder();
    let mut random = Rng::with_seed(17);
    let load = Load::new();
    let mut server = start(data.path());
    let beginning = server.get("/v1/changes")["next"]
        .as_str()
        .expect("a cursor")
        .to_owned();
    let (mut children, mut child_kills) = (Vec::new(), 0);
    for _ in 0..KILLS {
        let kills_server = random.bool();
        child_kills += kill_under_load(&server, &mut children, &load, &mut random, kills_server);
        if kills_server {
            drop(server);
            children.clear();
            server = start(data.path());
        }
        load.check(&server);
    }
    let tasks = finish(&server, &load);
    assert_eq!(
        server.get("/v1/stats")["total"],
        tasks.len(),
        "each key has one task"
    );
    let (mut seen, mut spent) = (BTreeSet::new(), 0);
    for task in &tasks {
        let is_translation = task["type"] == "translate";
        let expected = if is_translation { "failed" } else { "completed" };
        assert!(
            task["status"] == expected || task["status"] == "cancelled",
            "{task}"
        );
        seen.extend(outcomes(task));
        spent += spent_by_kills(task);
    }
    assert!(
        spent <= child_kills,
        "{spent} attempts were spent by {child_kills} kills of children"
    );
    // Nothing but kills and cancels happened, and both kinds of kills met tasks that ran.
    let happened = ["cancelled", "completed", "interrupted", "lost", "permanent"];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), happened);
    let ends = ends(&server, &beginning);
    for task in &tasks {
        assert_eq!(
            ends[task["id"].as_str().expect("an id")],
            1,
            "a task ends once: {task}"
        );
    }
}

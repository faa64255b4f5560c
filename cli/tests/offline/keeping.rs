//! An API for batches that keeps what it is given, and may lose what it answers.

use std::collections::{BTreeSet, HashMap};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, Request, Respond, ResponseTemplate};

use crate::world::{World, completed, eventually, problem_body};

/// An API that keeps what it is given, by idempotency key, and answers as it is told.
#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<Kept>>);

#[derive(Default)]
pub(crate) struct Kept {
    /// What each key's request made.
    answers: HashMap<String, Value>,
    /// The tasks' texts, one entry for each task that was made.
    pub(crate) texts: Vec<String>,
    pub(crate) requests: usize,
    /// Of these requests, by number from 1, the work is done and the answer lost.
    pub(crate) lost: BTreeSet<usize>,
    /// Tasks whose wait has no end.
    pub(crate) endless: BTreeSet<String>,
    /// How often they were asked for.
    pub(crate) asked: usize,
    /// The other tasks, in the order in which they were made.
    pub(crate) ended: Vec<String>,
}

impl Api {
    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("nobody panics while it is held")
    }
}

impl Respond for Api {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut kept = self.kept();
        kept.requests += 1;
        let key = request.headers["idempotency-key"]
            .to_str()
            .expect("a key is text");
        let key = key.to_owned();
        let body: Value = serde_json::from_slice(&request.body).expect("a body is JSON");
        if !kept.answers.contains_key(&key) {
            let tasks = body["tasks"].as_array().expect("a batch has tasks");
            let results: Vec<_> = tasks.iter().map(|task| kept.accept(task)).collect();
            kept.answers.insert(key.clone(), json!({ "results": results }));
        }
        if kept.lost.contains(&kept.requests) {
            // What is not asked again by itself.
            return ResponseTemplate::new(200).set_body_string("<html>");
        }
        ResponseTemplate::new(202).set_body_json(&kept.answers[&key])
    }
}

impl Kept {
    fn accept(&mut self, task: &Value) -> Value {
        let text = task["input"]["text"].as_str().unwrap_or("no text").to_owned();
        if text == "refuse" {
            return json!({ "status": 422, "problem": problem_body(422, "invalid-input", "send another text") });
        }
        // In order, as the API's own are.
        let id = format!("01a21202-0000-7000-8000-{:012x}", self.texts.len());
        if text == "endless" {
            self.endless.insert(id.clone());
        } else {
            self.ended.push(id.clone());
        }
        self.texts.push(text);
        json!({ "status": 202, "task": { "id": id, "type": "sentiment", "status": "pending" } })
    }
}

pub(crate) async fn api(world: &World) -> Api {
    let api = Api::default();
    Mock::given(method("POST"))
        .and(path("/v1/tasks/batch"))
        .respond_with(api.clone())
        .mount(&world.server)
        .await;
    let known = api.clone();
    let show = move |request: &Request| {
        let id = request.url.path().rsplit('/').next().unwrap_or_default();
        let answer = ResponseTemplate::new(200).set_body_json(completed(id));
        let mut kept = known.kept();
        if kept.endless.contains(id) {
            kept.asked += 1;
            answer.set_delay(Duration::from_secs(300))
        } else {
            answer
        }
    };
    Mock::given(method("GET"))
        .and(path_regex("^/v1/tasks/.+$"))
        .respond_with(show)
        .mount(&world.server)
        .await;
    api
}

/// Begins with the batch `b.jsonl`.
pub(crate) fn start(world: &World, options: &[&str]) -> Child {
    world.start(&[&["batch", "b.jsonl"], options].concat())
}

/// Waits until so many lines of it are finished.
pub(crate) async fn has_results(world: &World, number: usize) {
    eventually("results come", || {
        let text = std::fs::read_to_string(world.folder.path().join("b.jsonl.results.jsonl"));
        text.is_ok_and(|text| text.lines().count() == number)
    })
    .await;
}

/// Ends it by Ctrl-C, and returns what it told.
pub(crate) fn interrupt(child: Child) -> String {
    end(child, Signal::INT, 130)
}

/// Ends it by a signal, to which that code belongs, and returns what it told.
pub(crate) fn end(child: Child, signal: Signal, code: i32) -> String {
    send(&child, signal);
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(code));
    String::from_utf8(ended.stderr).expect("it prints UTF-8")
}

pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

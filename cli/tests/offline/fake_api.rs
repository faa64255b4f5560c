//! A fake API for batches. It remembers tasks by idempotency key, and can lose responses.

use std::collections::{BTreeSet, HashMap};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, Request, Respond, ResponseTemplate};

use crate::world::{World, accepted_task, completed, eventually, problem_body};

#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    /// The response to each key's request.
    responses: HashMap<String, Value>,
    /// The texts of the tasks, one entry for each task that was created.
    pub(crate) texts: Vec<String>,
    pub(crate) requests: usize,
    /// Numbers of requests, from 1, whose tasks are created but whose responses are lost.
    pub(crate) lost: BTreeSet<usize>,
    /// Tasks that never become final.
    pub(crate) endless: BTreeSet<String>,
    /// The number of requests for them.
    pub(crate) endless_requests: usize,
    /// The other tasks, in the order in which they were created.
    pub(crate) completed: Vec<String>,
}

impl Api {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no thread panicked with the lock")
    }
}

impl Respond for Api {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.state();
        state.requests += 1;
        let key = request.headers["idempotency-key"]
            .to_str()
            .expect("the key is text");
        let key = key.to_owned();
        let body: Value = serde_json::from_slice(&request.body).expect("the body is JSON");
        if !state.responses.contains_key(&key) {
            let tasks = body["tasks"].as_array().expect("the body has tasks");
            let results: Vec<_> = tasks.iter().map(|task| state.accept(task)).collect();
            state.responses.insert(key.clone(), json!({ "results": results }));
        }
        if state.lost.contains(&state.requests) {
            // The client does not retry this response.
            return ResponseTemplate::new(200).set_body_string("<html>");
        }
        ResponseTemplate::new(202).set_body_json(&state.responses[&key])
    }
}

impl State {
    fn accept(&mut self, task: &Value) -> Value {
        let text = task["input"]["text"].as_str().unwrap_or("no text").to_owned();
        if text == "refuse" {
            return json!({ "status": 422, "problem": problem_body(422, "invalid-input", "send another text") });
        }
        // Ids grow over time, as the API's do.
        let id = format!("01a21202-0000-7000-8000-{:012x}", self.texts.len());
        if text == "endless" {
            self.endless.insert(id.clone());
        } else {
            self.completed.push(id.clone());
        }
        self.texts.push(text);
        json!({ "status": 202, "task": accepted_task(&id, "sentiment") })
    }
}

pub(crate) async fn api(world: &World) -> Api {
    let api = Api::default();
    Mock::given(method("POST"))
        .and(path("/v1/tasks/batch"))
        .respond_with(api.clone())
        .mount(&world.server)
        .await;
    let tasks = api.clone();
    let show = move |request: &Request| {
        let id = request.url.path().rsplit('/').next().unwrap_or_default();
        let response = ResponseTemplate::new(200).set_body_json(completed(id));
        let mut state = tasks.state();
        if state.endless.contains(id) {
            state.endless_requests += 1;
            response.set_delay(Duration::from_secs(300))
        } else {
            response
        }
    };
    Mock::given(method("GET"))
        .and(path_regex("^/v1/tasks/.+$"))
        .respond_with(show)
        .mount(&world.server)
        .await;
    api
}

/// Starts the batch `b.jsonl`.
pub(crate) fn start(world: &World, options: &[&str]) -> Child {
    world.start(&[&["batch", "b.jsonl"], options].concat())
}

/// Waits until the batch has written that many results.
pub(crate) async fn has_results(world: &World, number: usize) {
    eventually("the results are written", || {
        let text = std::fs::read_to_string(world.folder.path().join("b.jsonl.results.jsonl"));
        text.is_ok_and(|text| text.lines().count() == number)
    })
    .await;
}

/// Ends it with Ctrl-C, and returns its standard error.
pub(crate) fn interrupt(child: Child) -> String {
    end(child, Signal::INT, 130)
}

/// Ends it with a signal, checks its exit code, and returns its standard error.
pub(crate) fn end(child: Child, signal: Signal, code: i32) -> String {
    send(&child, signal);
    let ended = child.wait_with_output().expect("the program ends");
    assert_eq!(ended.status.code(), Some(code));
    String::from_utf8(ended.stderr).expect("the output is UTF-8")
}

pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the program runs");
}

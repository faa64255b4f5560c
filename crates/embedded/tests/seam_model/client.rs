//! The clients of the API, and what they were answered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use mesh_task::{Status, TaskId};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::history::{Life, require};
use crate::process::lock;
use crate::steps::{BATCH, Submission};
use crate::world::{TOKEN, World};

/// The length of an input that is stored as a payload.
const LARGE_WORDS: usize = 1_500;

/// What the clients were answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The accepted tasks, in the order of their first answers.
    pub(crate) accepted: Vec<TaskId>,
    /// The submissions with a key, and the tasks that they were answered, by their place.
    keyed: HashMap<Submission, BTreeMap<usize, TaskId>>,
    /// The ends that cancels were answered, and the generations that redrives were.
    cancelled: BTreeSet<(TaskId, u64)>,
    redriven: BTreeSet<(TaskId, u64)>,
    /// The first contradiction between answers.
    contradiction: Option<String>,
}

impl Answers {
    fn accept(&mut self, submission: Submission, place: usize, id: TaskId) {
        if !self.accepted.contains(&id) {
            self.accepted.push(id);
        }
        if let Some(known) = self.keyed.get_mut(&submission)
            && let Some(other) = known.insert(place, id)
            && other != id
        {
            self.contradiction = Some(format!("{submission:?} has the tasks {other} and {id}"));
        }
    }

    /// The submissions with a key that were sent.
    pub(crate) fn keyed(&self) -> Vec<Submission> {
        self.keyed.keys().copied().collect()
    }

    /// Compares what was answered with what became of the tasks.
    pub(crate) fn check(&self, lives: &BTreeMap<TaskId, Life>) -> Result<(), String> {
        if let Some(contradiction) = &self.contradiction {
            return Err(contradiction.clone());
        }
        for id in &self.accepted {
            let life = lives.get(id).ok_or_else(|| format!("task {id} is lost"))?;
            require(life.last.status.is_final(), "an accepted task ends", life)?;
        }
        let generation = |generation: u64| u32::try_from(generation).unwrap_or(u32::MAX);
        for (id, at) in &self.cancelled {
            let end = lives.get(id).and_then(|life| life.ends.get(&generation(*at)));
            require(end == Some(&Status::Cancelled), "a cancel that was answered", end)?;
        }
        for (id, at) in &self.redriven {
            let ended = lives.get(id).and_then(|life| life.ends.get(&generation(*at)));
            require(ended.is_some(), "a redrive that was answered ends", ended)?;
        }
        Ok(())
    }
}

/// Submits something, and notes what is answered.
pub(crate) async fn submit(world: Arc<World>, answers: Arc<Mutex<Answers>>, submission: Submission) {
    let task = |name: &str, is_large: bool| {
        let text = if is_large {
            "word ".repeat(LARGE_WORDS)
        } else {
            "fine".to_owned()
        };
        json!({ "type": "sentiment", "input": { "text": text }, "metadata": { "submission": name } })
    };
    let batch = |name: &str| {
        let tasks = (0..BATCH).map(|place| task(&format!("{name}-{place}"), place == 1));
        json!({ "tasks": tasks.collect::<Vec<_>>() })
    };
    let (path, key, body) = match submission {
        Submission::New { is_large } => ("/v1/tasks", None, task("new", is_large)),
        Submission::Keyed(key) => {
            let name = format!("task-{key}");
            ("/v1/tasks", Some(name.clone()), task(&name, key % 2 == 1))
        }
        Submission::NewBatch => ("/v1/tasks/batch", None, batch("new")),
        Submission::KeyedBatch(key) => {
            let name = format!("batch-{key}");
            ("/v1/tasks/batch", Some(name.clone()), batch(&name))
        }
    };
    if key.is_some() {
        lock(&answers).keyed.entry(submission).or_default();
    }
    let (status, answer) = post(&world, path, key.as_deref(), &body).await;
    if status != StatusCode::ACCEPTED {
        return;
    }
    let mut answers = lock(&answers);
    match answer.get("results").and_then(Value::as_array) {
        None => answers.accept(submission, 0, id(&answer)),
        Some(results) => {
            for (place, task) in results.iter().enumerate() {
                if task["status"] == StatusCode::ACCEPTED.as_u16() {
                    answers.accept(submission, place, id(&task["task"]));
                }
            }
        }
    }
}

/// Cancels a task.
pub(crate) async fn cancel(world: Arc<World>, answers: Arc<Mutex<Answers>>, task: TaskId) {
    let (status, answer) = post(&world, &format!("/v1/tasks/{task}/cancel"), None, &Value::Null).await;
    if status == StatusCode::OK {
        lock(&answers).cancelled.insert((task, generation(&answer)));
    }
}

/// Gives a task another generation.
pub(crate) async fn retry(world: Arc<World>, answers: Arc<Mutex<Answers>>, task: TaskId) {
    let (status, answer) = post(&world, &format!("/v1/tasks/{task}/retry"), None, &Value::Null).await;
    if status == StatusCode::ACCEPTED {
        lock(&answers).redriven.insert((task, generation(&answer)));
    }
}

/// Gives all dead letters another generation.
pub(crate) async fn redrive(world: Arc<World>) {
    post(&world, "/v1/dead-letters/redrive", None, &json!({ "all": true })).await;
}

async fn post(world: &World, path: &str, key: Option<&str>, body: &Value) -> (StatusCode, Value) {
    let mut request = Request::post(path)
        .header("x-service-token", TOKEN)
        .header(CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::from(body.to_string())).expect("a request");
    let Ok(response) = world.api.clone().oneshot(request).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn id(task: &Value) -> TaskId {
    let id = task["id"].as_str().expect("an accepted task has an id");
    id.parse().expect("the id is one")
}

fn generation(task: &Value) -> u64 {
    task["generation"].as_u64().expect("a task has a generation")
}

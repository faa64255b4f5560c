//! Batches of tasks, and the requests that submit them.

use serde_json::{Value, json};

use crate::{Api, Reply, sentiment};

/// The route for batches.
pub const PATH: &str = "/v1/tasks/batch";

/// A batch whose tasks can be found by their metadata.
#[must_use]
pub fn with_note(note: &str, tasks: usize) -> Value {
    let task = |n: usize| {
        let mut task = sentiment(&format!("fine, number {n}"));
        task["metadata"] = json!({ "note": note });
        task
    };
    json!({ "tasks": (0..tasks).map(task).collect::<Vec<_>>() })
}

/// Sends a batch under an idempotency key.
#[must_use]
pub fn post(api: &Api, key: &str, body: &Value) -> Reply {
    post_with_faults(api, key, body, "")
}

/// As [`post`], with faults injected into the API's calls to AWS.
#[must_use]
pub fn post_with_faults(api: &Api, key: &str, body: &Value, faults: &str) -> Reply {
    let headers = [
        ("x-service-token", api.token()),
        ("content-type", "application/json"),
        ("idempotency-key", key),
        ("x-ai-mesh-fault", faults),
    ];
    api.send("POST", PATH, &headers, Some(body.to_string().as_bytes()))
}

/// The answers to a batch's tasks.
///
/// # Panics
/// When the batch was refused.
#[must_use]
#[track_caller]
pub fn results(reply: &Reply) -> &[Value] {
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.body["results"].as_array().expect("a list")
}

/// The ids of a batch's tasks.
///
/// # Panics
/// When one of them was refused.
#[track_caller]
pub fn ids(reply: &Reply) -> Vec<String> {
    let id = |result: &Value| {
        assert_eq!(result["status"], 202, "{result}");
        result["task"]["id"].as_str().expect("an id is text").to_owned()
    };
    results(reply).iter().map(id).collect()
}

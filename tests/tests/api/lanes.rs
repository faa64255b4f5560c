//! Priorities, by which a task gets its lane.

use mesh_tests::Api;
use serde_json::{Value, json};

fn text(text: &str, priority: &str, fault: &str) -> Value {
    json!({
        "type": "sentiment", "input": { "text": text }, "priority": priority, "metadata": { "fault": fault },
    })
}

fn submit(api: &Api, task: &Value) -> String {
    let reply = api.post(task);
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.text("id").to_owned()
}

#[test]
fn a_task_shows_its_priority_and_an_unknown_one_is_refused() {
    let api = Api::new();
    for priority in ["high", "normal", "low"] {
        let id = submit(&api, &text("fine", priority, "none"));
        assert_eq!(api.finished(&id)["priority"], json!(priority));
    }
    for priority in [
        json!("urgent"),
        json!("High"),
        json!(""),
        json!(1),
        json!(["high"]),
    ] {
        let mut task = text("fine", "high", "none");
        task["priority"] = priority;
        let detail = api.post(&task).problem(422, "invalid-priority");
        assert!(detail.contains("high, normal, low"), "{detail}");
    }
    let without = submit(&api, &json!({ "type": "sentiment", "input": { "text": "fine" } }));
    assert_eq!(api.show(&without)["priority"], json!("normal"));
}

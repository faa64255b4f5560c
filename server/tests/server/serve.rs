//! Tasks of each worker, and what a kill of the server costs.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::{Server, folder, test_file};

/// How many tasks are under way when the server is killed.
const TASKS: usize = 60;

#[test]
fn each_worker_completes_its_tasks() {
    let data = folder();
    let server = Server::start(data.path());
    let upload = |name: &str, content_type: &str| {
        let content = test_file(name);
        let sha256 = hex::encode(Sha256::digest(&content));
        let announced = json!({ "content_type": content_type, "length": content.len(), "sha256": sha256 });
        let announced = server.post("/v1/uploads", &announced);
        let mut put = ureq::put(announced["url"].as_str().expect("an address"));
        let headers = announced["headers"].as_object().expect("headers").iter();
        // The client writes the length itself.
        for (name, value) in headers.filter(|(name, _)| *name != "content-length") {
            put = put.header(name, value.as_str().expect("a text"));
        }
        put.send(&content[..]).expect("the upload is accepted");
        json!({ "upload": announced["id"] })
    };
    let text = json!({ "text": "A wonderful trip to Rome." });
    for (task_type, input, place) in [
        ("sentiment", text.clone(), "/label"),
        ("classify", text.clone(), "/scores/0"),
        ("embed", text.clone(), "/embeddings/0"),
        ("summarize", text, "/summary"),
        ("face_detection", upload("astronaut.png", "image/png"), "/faces/0"),
        ("ocr", upload("page.png", "image/png"), "/lines/0"),
        ("transcribe", upload("beckett.wav", "audio/wav"), "/segments/0"),
    ] {
        let task = server.finished(&server.submit(task_type, &input));
        assert_eq!(task["status"], "completed", "{task}");
        assert!(task["result"].pointer(place).is_some(), "{task}");
    }
    let id = server.submit("translate", &json!({ "text": "Rome", "target_language": "de" }));
    assert_eq!(server.finished(&id)["error"]["code"], "provider_not_configured");
    let counts = server.get("/v1/stats");
    assert_eq!(
        (&counts["total"], &counts["by_status"]["completed"]),
        (&json!(8), &json!(7))
    );
}

/// How many of these tasks are final.
fn ended(server: &Server, ids: &[String]) -> usize {
    let is_final = |id: &&String| {
        let task = server.get(&format!("/v1/tasks/{id}"));
        task["status"] == "completed"
    };
    ids.iter().filter(is_final).count()
}

#[test]
fn a_killed_server_loses_no_task_and_no_attempt() {
    let data = folder();
    let mut server = Server::start(data.path());
    let entry = |n: usize| json!({ "type": "sentiment", "input": { "text": format!("text {n}") }, "max_attempts": 1 });
    let mut accepted = Vec::new();
    for round in 0..3 {
        let tasks: Vec<_> = (0..TASKS).map(entry).collect();
        let answer = server.post("/v1/tasks/batch", &json!({ "tasks": tasks }));
        let results = answer["results"].as_array().expect("a list");
        accepted.extend(results.iter().map(|result| {
            assert_eq!(result["status"], 202, "{result}");
            result["task"]["id"].as_str().expect("an id").to_owned()
        }));
        // Each round's kill comes at another moment of the batch: once this many of its tasks have ended.
        while ended(&server, &accepted) < round * TASKS / 2 {}
        server.process.kill().expect("it can be killed");
        drop(server);
        server = Server::start(data.path());
    }
    for id in &accepted {
        let task = server.finished(id);
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(1)),
            "{task}"
        );
    }
}

//! The server as a process: tasks of each worker, and what a kill costs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// How many tasks are under way when the server is killed.
const TASKS: usize = 60;

/// A running server. It is killed when it is dropped.
struct Server {
    process: Child,
    address: String,
    token: String,
}

impl Server {
    /// Starts a server at a free port, and waits until it listens.
    fn start(data: &Path) -> Self {
        let assets =
            std::env::var("AI_MESH_ASSETS").expect("AI_MESH_ASSETS names the models: run `cargo xtask test`");
        let mut process = Command::new(env!("CARGO_BIN_EXE_mesh-server"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(["--assets", &assets])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let log = BufReader::new(process.stderr.take().expect("its log is piped"));
        let mut lines = log.lines().map_while(Result::ok);
        let started = lines.find_map(|line| {
            let line: Value = serde_json::from_str(&line).ok()?;
            (line["event"] == "server_started").then(|| line["address"].as_str().map(str::to_owned))?
        });
        // The server must not block on a full pipe.
        thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            address: format!("http://{}", started.expect("the server listens")),
            token: fs::read_to_string(data.join("token"))
                .expect("the token is there")
                .trim()
                .to_owned(),
        }
    }

    fn get(&self, path: &str) -> Value {
        let request = ureq::get(format!("{}{path}", self.address)).header("x-service-token", &self.token);
        let mut response = request.call().unwrap_or_else(|error| panic!("{path}: {error}"));
        response.body_mut().read_json().expect("the answer is JSON")
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}{path}", self.address)).header("x-service-token", &self.token);
        let mut response = request
            .send_json(body)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        response.body_mut().read_json().expect("the answer is JSON")
    }

    fn submit(&self, task_type: &str, input: &Value) -> String {
        let accepted = self.post("/v1/tasks", &json!({ "type": task_type, "input": input }));
        accepted["id"].as_str().expect("an id").to_owned()
    }

    /// The task once it is final.
    fn finished(&self, id: &str) -> Value {
        loop {
            let task = self.get(&format!("/v1/tasks/{id}?wait=20"));
            if matches!(
                task["status"].as_str(),
                Some("completed" | "failed" | "cancelled")
            ) {
                return task;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn test_file(name: &str) -> Vec<u8> {
    let assets = std::env::var("AI_MESH_ASSETS").expect("AI_MESH_ASSETS names the models");
    fs::read(Path::new(&assets).join("testdata").join(name)).expect("the file is there")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

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

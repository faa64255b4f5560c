//! The surroundings of a run of `mesh`: a mock API, a temporary folder, and an environment that only contains what the
//! test sets.

use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Respond, ResponseTemplate};

/// No output may contain it.
pub(crate) const TOKEN: &str = "a-token-that-is-secret";
pub(crate) const ID: &str = "01a21202-48f4-70f7-a2cd-8b57fcde12fd";
pub(crate) const OTHER: &str = "01a21202-44bb-7505-917f-5858c5ae3f62";

/// Only a failing test takes this long.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) server: MockServer,
    pub(crate) folder: TempDir,
}

/// The exit code and the output of a run.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self {
            server: MockServer::start().await,
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Mocks a GET with that JSON.
    pub(crate) async fn get(&self, at: &str, body: Value) {
        self.mock("GET", at, ResponseTemplate::new(200).set_body_json(body))
            .await;
    }

    pub(crate) async fn mock(&self, verb: &str, at: &str, response: impl Respond + 'static) {
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(response)
            .mount(&self.server)
            .await;
    }

    /// Mocks an API that accepts any submission as that task.
    pub(crate) async fn accept(&self, id: &str, task_type: &str) {
        let response = ResponseTemplate::new(202).set_body_json(accepted_task(id, task_type));
        self.mock("POST", "/v1/tasks", response).await;
    }

    /// Mocks an API that accepts any upload. Returns the id that each of them gets.
    pub(crate) async fn accept_uploads(&self) -> &'static str {
        let id = "0190a1b2-0000-7000-8000-000000000000";
        let address = format!("{}/bucket/up", self.server.uri());
        let target = json!({
            "id": id, "method": "PUT", "url": address, "headers": {}, "expires_at": "2026-01-31T12:00:00Z",
        });
        let response = ResponseTemplate::new(201).set_body_json(target);
        self.mock("POST", "/v1/uploads", response).await;
        self.mock("PUT", "/bucket/up", ResponseTemplate::new(200)).await;
        id
    }

    /// The program without a stack.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .timeout(TIMEOUT);
        command
    }

    /// The program with the mock API as its stack.
    pub(crate) fn mesh(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare();
        command
            .env("AI_MESH_URL", self.server.uri())
            .env("AI_MESH_TOKEN", TOKEN)
            .args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::run(&mut self.mesh(arguments))
    }

    /// Starts the program in the background.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.start_by(env!("CARGO_BIN_EXE_mesh"), arguments, Stdio::piped())
    }

    /// Runs the program with a closed standard error. Returns its exit code.
    pub(crate) fn run_with_closed_stderr(&self, arguments: &[&str]) -> Option<i32> {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut child = self.start_by(env!("CARGO_BIN_EXE_mesh"), arguments, writer.into());
        child.wait().expect("the program ends").code()
    }

    /// Starts the program, or another one that starts it, in the background.
    pub(crate) fn start_by(&self, program: &str, arguments: &[&str], errors: Stdio) -> Child {
        std::process::Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("AI_MESH_URL", self.server.uri())
            .env("AI_MESH_TOKEN", TOKEN)
            .stderr(errors)
            .spawn()
            .expect("the program runs")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("the file is in a folder"))
            .expect("the folder can be created");
        std::fs::write(&path, content).expect("the file can be written");
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).expect("the file exists")
    }

    /// The bodies of the requests to that path.
    pub(crate) async fn sent(&self, at: &str) -> Vec<Value> {
        let requests = self.server.received_requests().await.unwrap_or_default();
        let to = requests.iter().filter(|request| request.url.path() == at);
        to.map(|request| serde_json::from_slice(&request.body).unwrap_or_default())
            .collect()
    }
}

impl Ended {
    /// Runs a command, and checks that its output does not contain the token.
    pub(crate) fn run(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("the program runs");
        let [out, err] = [stdout, stderr].map(|text| String::from_utf8(text).expect("the output is UTF-8"));
        assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "{out}{err}");
        Self {
            code: status.code(),
            out,
            err,
        }
    }

    /// The output and the exit code, for a snapshot.
    pub(crate) fn transcript(&self) -> String {
        let code = self
            .code
            .map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!(
            "{}--- standard error\n{}--- exit code {code}\n",
            self.out, self.err
        )
    }
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {TIMEOUT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A time that many minutes ago, as the API writes it.
pub(crate) fn ago(minutes: i64) -> String {
    let time = Timestamp::now() - SignedDuration::from_mins(minutes) - SignedDuration::from_secs(10);
    time.to_string()
}

/// A task that completed on its second attempt.
pub(crate) fn task(id: &str, status: &str) -> Value {
    json!({
        "id": id, "type": "sentiment", "size": "small", "priority": "normal", "status": status,
        "input": { "text": "fine" }, "metadata": { "order": "42" }, "generation": 1, "attempt": 2, "max_attempts": 3,
        "correlation_id": "c-1",
        "attempts": [
            { "generation": 1, "started_at": "2026-01-31T12:00:00.165Z", "ended_at": "2026-01-31T12:00:06.2Z",
              "outcome": "transient", "error": "storage_unavailable: the payload bucket did not answer" },
            { "generation": 1, "started_at": "2026-01-31T12:00:09.1Z", "ended_at": "2026-01-31T12:00:09.25Z",
              "outcome": "completed" },
        ],
        "created_at": "2026-01-31T12:00:00.123Z", "updated_at": "2026-01-31T12:00:09.25Z",
    })
}

/// The response to the submission of a task.
pub(crate) fn accepted_task(id: &str, task_type: &str) -> Value {
    let itself = format!("/v1/tasks/{id}");
    let links = json!({ "self": itself, "wait": format!("{itself}?wait=20") });
    json!({ "id": id, "type": task_type, "status": "pending", "links": links })
}

pub(crate) fn completed(id: &str) -> Value {
    let mut task = task(id, "completed");
    task["result"] = json!({ "label": "POSITIVE", "score": 0.98, "positive": 0.98 });
    task["model"] = json!({ "name": "minilm-sentiment", "version": "be82d7670691" });
    task["timings"] = json!({ "queued_ms": 42, "load_ms": 80, "inference_ms": 3 });
    task
}

pub(crate) fn failed(id: &str) -> Value {
    let mut task = task(id, "failed");
    task["attempts"][1]["outcome"] = json!("transient");
    task["attempts"][1]["error"] = json!("storage_unavailable: the payload bucket did not answer");
    let message = "the payload bucket did not answer\u{1b}[2J\nat all";
    task["error"] = json!({ "kind": "exhausted", "code": "storage_unavailable", "message": message });
    task
}

pub(crate) fn problem(status: u16, slug: &str, detail: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(problem_body(status, slug, detail))
}

pub(crate) fn problem_body(status: u16, slug: &str, detail: &str) -> Value {
    json!({ "type": format!("urn:ai-mesh:problem:{slug}"), "title": "Refused", "status": status, "detail": detail,
            "request_id": "r-1" })
}

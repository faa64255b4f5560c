//! A server as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Body;
use ureq::http::Response;

/// Far more than anything takes.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    pub(crate) process: Child,
    address: String,
    token: String,
    /// The lines of its log, and of its children's.
    log: Mutex<Receiver<Value>>,
}

impl Server {
    /// Starts a server at a free port, and waits until it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, settings: &[&str]) -> Self {
        let assets =
            std::env::var("AI_MESH_ASSETS").expect("AI_MESH_ASSETS names the models: run `cargo xtask test`");
        let mut process = Command::new(env!("CARGO_BIN_EXE_mesh-server"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(["--assets", &assets])
            .args(settings)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = BufReader::new(process.stderr.take().expect("its log is piped")).lines();
        let (sender, log) = mpsc::channel();
        // The server must not block on a full pipe.
        thread::spawn(move || {
            let lines = lines.map_while(Result::ok);
            let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
            // The test may have ended.
            events.for_each(|event| drop(sender.send(event)));
        });
        let started = wait_for(&log, |line| line["event"] == "server_started");
        Self {
            process,
            address: format!("http://{}", started["address"].as_str().expect("an address")),
            token: fs::read_to_string(data.join("token"))
                .expect("the token is there")
                .trim()
                .to_owned(),
            log: Mutex::new(log),
        }
    }

    fn log(&self) -> MutexGuard<'_, Receiver<Value>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next line of the log that is this event.
    pub(crate) fn event(&self, event: &str) -> Value {
        wait_for(&self.log(), |line| line["event"] == event)
    }

    /// The processes of models that were started since this was asked last. Some may have ended.
    pub(crate) fn new_children(&self) -> Vec<Pid> {
        let log = self.log();
        log.try_iter()
            .filter(|line| line["event"] == "child_started")
            .map(|line| pid(&line["pid"]))
            .collect()
    }

    /// The answer, or nothing if the server ends meanwhile.
    pub(crate) fn try_get(&self, path: &str) -> Option<Value> {
        let request = ureq::get(format!("{}{path}", self.address)).header("x-service-token", &self.token);
        whole(request.call(), path)
    }

    /// The answer, or nothing if the server ends meanwhile.
    pub(crate) fn try_post(&self, path: &str, key: Option<&str>, body: &Value) -> Option<Value> {
        let mut request =
            ureq::post(format!("{}{path}", self.address)).header("x-service-token", &self.token);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        whole(request.send_json(body), path)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let request = ureq::get(format!("{}{path}", self.address)).header("x-service-token", &self.token);
        let mut response = request.call().unwrap_or_else(|error| panic!("{path}: {error}"));
        response.body_mut().read_json().expect("the answer is JSON")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}{path}", self.address)).header("x-service-token", &self.token);
        let mut response = request
            .send_json(body)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        response.body_mut().read_json().expect("the answer is JSON")
    }

    /// The status and the answer, which may be a refusal.
    pub(crate) fn answer(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = ureq::post(format!("{}{path}", self.address)).header("x-service-token", &self.token);
        let request = request.config().http_status_as_error(false).build();
        let mut response = request.send_json(body).expect("it answers");
        let answer = response.body_mut().read_json().expect("the answer is JSON");
        (response.status().as_u16(), answer)
    }

    pub(crate) fn submit(&self, task_type: &str, input: &Value) -> String {
        let accepted = self.post("/v1/tasks", &json!({ "type": task_type, "input": input }));
        accepted["id"].as_str().expect("an id").to_owned()
    }

    /// The task once it is final.
    pub(crate) fn finished(&self, id: &str) -> Value {
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

/// An answer that arrived as a whole; nothing if the connection was cut. The server refuses nothing.
fn whole(answer: Result<Response<Body>, ureq::Error>, path: &str) -> Option<Value> {
    match answer {
        Ok(mut response) => response.body_mut().read_json().ok(),
        Err(ureq::Error::StatusCode(409)) => None,
        Err(ureq::Error::StatusCode(status)) => panic!("{path}: {status}"),
        Err(_) => None,
    }
}

pub(crate) fn pid(number: &Value) -> Pid {
    let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
    number.and_then(Pid::from_raw).expect("a process id")
}

fn wait_for(log: &Receiver<Value>, is_wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = log.recv_timeout(TIMEOUT).expect("the event is logged");
        if is_wanted(&line) {
            return line;
        }
    }
}

pub(crate) fn test_file(name: &str) -> Vec<u8> {
    let assets = std::env::var("AI_MESH_ASSETS").expect("AI_MESH_ASSETS names the models");
    fs::read(Path::new(&assets).join("testdata").join(name)).expect("the file is there")
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

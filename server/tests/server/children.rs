//! The processes of the models: what it costs when one dies, hangs or is not needed, and what becomes of them without the server.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Server, folder, pid};

/// Far more than a process takes to end.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < TIMEOUT, "{what}");
        thread::sleep(POLL);
    }
}

fn submit(server: &Server, settings: &Value) -> String {
    let mut task = json!({ "type": "sentiment", "input": { "text": "A wonderful trip to Rome." } });
    let fields = task.as_object_mut().expect("an object");
    fields.extend(settings.as_object().expect("an object").clone());
    let accepted = server.post("/v1/tasks", &task);
    accepted["id"].as_str().expect("an id").to_owned()
}

/// Runs one task, so that the text worker's first slot has a child, and stops the child's threads.
fn freeze_child(server: &Server) -> Pid {
    let first = submit(server, &json!({}));
    let child = pid(&server.event("child_started")["pid"]);
    assert_eq!(server.finished(&first)["status"], "completed");
    kill_process(child, Signal::STOP).expect("it can be stopped");
    child
}

fn is_processing(server: &Server, id: &str) -> bool {
    server.get(&format!("/v1/tasks/{id}"))["status"] == "processing"
}

#[test]
fn a_child_that_dies_costs_its_tasks_no_attempt() {
    let data = folder();
    let server = Server::start_with(data.path(), &["--concurrency", "1"]);
    let child = freeze_child(&server);
    let tasks: Vec<_> = (0..5)
        .map(|_| submit(&server, &json!({ "max_attempts": 1 })))
        .collect();
    let mut any_runs = || tasks.iter().any(|id| is_processing(&server, id));
    wait_until("the tasks run", &mut any_runs);
    kill_process(child, Signal::KILL).expect("it can be killed");
    let ended: Vec<_> = tasks.iter().map(|id| server.finished(id)).collect();
    let outcomes = |task: &Value| {
        let attempts = task["attempts"].as_array().expect("a list").clone();
        attempts
            .into_iter()
            .map(|attempt| attempt["outcome"].clone())
            .collect::<Vec<_>>()
    };
    for task in &ended {
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(1)),
            "{task}"
        );
    }
    assert!(
        ended
            .iter()
            .any(|task| outcomes(task) == [json!("lost"), json!("completed")]),
        "a task ran in the child that died: {ended:?}"
    );
    server.event("child_died");
}

#[test]
fn a_child_that_hangs_is_replaced_at_the_tasks_deadline() {
    let data = folder();
    let server = Server::start_with(data.path(), &["--concurrency", "1"]);
    freeze_child(&server);
    let task = submit(&server, &json!({ "timeout_seconds": 1, "max_attempts": 2 }));
    let task = server.finished(&task);
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["attempts"][0]["outcome"], "timeout", "{task}");
    server.event("child_killed");
}

#[test]
fn a_child_ends_with_the_server_and_when_it_is_idle() {
    let data = folder();
    let mut server = Server::start_with(data.path(), &["--model-idle-seconds", "0"]);
    let task = submit(&server, &json!({}));
    let child = server.event("child_started");
    assert_eq!(server.finished(&task)["status"], "completed");
    assert_eq!(server.event("child_ended")["pid"], child["pid"]);
    let frozen = freeze_child(&server);
    kill_process(frozen, Signal::CONT).expect("it can run on");
    server.process.kill().expect("it can be killed");
    let process = PathBuf::from(format!("/proc/{}/stat", frozen.as_raw_nonzero()));
    // Whoever adopts it may leave it as a zombie.
    wait_until("the child ends", || {
        let stat = std::fs::read_to_string(&process);
        stat.map_or(true, |stat| stat.contains(") Z"))
    });
}

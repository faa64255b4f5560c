//! A limit on the size of files (`ulimit -f`) is as a full disk is.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;

use crate::harness::{Server, folder, pid};

/// The database's log has reached it after a few requests.
const MAX_FILE_BYTES: u64 = 512 * 1024;

/// Limits the files of another process, which has the limits of this one otherwise.
fn limit(process: Pid, bytes: Option<u64>) {
    let own = getrlimit(Resource::Fsize);
    let current = bytes.or(own.current);
    prlimit(Some(process), Resource::Fsize, Rlimit { current, ..own }).expect("it can be limited");
}

#[test]
fn a_file_that_may_not_grow_refuses_what_writes_and_all_goes_on_once_it_may() {
    let data = folder();
    let server = Server::start(data.path());
    let process = pid(&json!(server.process.id()));
    let task = json!({ "type": "sentiment", "input": { "text": "fine ".repeat(2_000) } });
    let first = server.submit("sentiment", &task["input"]);
    limit(process, Some(MAX_FILE_BYTES));
    let mut accepted = vec![first];
    let refused = loop {
        let (status, answer) = server.answer("/v1/tasks", &task);
        match status {
            202 => accepted.push(answer["id"].as_str().expect("an id").to_owned()),
            status => break (status, answer),
        }
    };
    assert_eq!(refused.0, 507, "{}", refused.1);
    for id in &accepted {
        assert_eq!(server.get(&format!("/v1/tasks/{id}"))["id"], **id);
    }
    limit(process, None);
    accepted.push(server.submit("sentiment", &task["input"]));
    for id in &accepted {
        let task = server.finished(id);
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(1))
        );
    }
}

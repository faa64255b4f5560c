//! What a failing attempt means for its task. A task requests a fault in its metadata; the home under test is built with fault
//! injection.

use jiff::{SignedDuration, Timestamp};
use mesh_tests::{Api, eventually};
use serde_json::json;

#[test]
fn a_transient_failure_is_retried_and_leaves_no_error() {
    let api = Api::new();
    let task = api.completed(&api.submit_text("fine", &[("fault", "transient:1")]), 2);
    for absent in ["error", "next_attempt_at"] {
        assert!(task.get(absent).is_none(), "{task}");
    }
}

#[test]
fn a_task_may_complete_on_its_last_attempt() {
    let api = Api::new();
    api.completed(&api.submit_text("fine", &[("fault", "transient:2")]), 3);
}

#[test]
fn between_two_attempts_a_task_is_pending_and_shows_its_error_and_its_next_attempt() {
    let api = Api::new();
    let id = api.submit_limited(json!({ "max_attempts": 10 }), &[("fault", "transient:99")]);
    let waiting = eventually("the task waits for its next attempt", || {
        let task = api.show(&id);
        (task["status"] == "pending" && task.get("error").is_some()).then_some(task)
    });
    assert_eq!(
        (&waiting["error"]["kind"], &waiting["error"]["code"]),
        (&json!("transient"), &json!("fault")),
        "{waiting}"
    );
    let time = |name: &str| {
        waiting[name]
            .as_str()
            .and_then(|time| time.parse::<Timestamp>().ok())
    };
    let (next, updated) = (
        time("next_attempt_at").expect("a time"),
        time("updated_at").expect("a time"),
    );
    assert!(next >= updated, "{waiting}");
    // RetryCapSeconds of tests/stack.toml.
    assert!(
        next.duration_since(updated) <= SignedDuration::from_secs(2),
        "the back-off has a cap: {waiting}"
    );
}

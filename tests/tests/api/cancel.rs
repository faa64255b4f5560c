//! Cancelling and retrying a task.

use mesh_tests::Api;
use serde_json::json;

#[test]
fn a_final_task_cannot_be_cancelled() {
    let api = Api::new();
    let completed = api.submit_text("fine", &[]);
    let failed = api.submit_text("fine", &[("fault", "panic")]);
    for (id, status) in [(&completed, "completed"), (&failed, "failed")] {
        let before = api.finished(id);
        let detail = api.cancel(id).problem(409, "task-is-final");
        assert!(detail.contains(status), "{detail}");
        assert_eq!(api.show(id), before);
    }
    let cancelled = api.submit_limited(json!({ "max_attempts": 9 }), &[("fault", "transient:99")]);
    assert_eq!(api.cancel(&cancelled).status, 200);
    api.cancel(&cancelled).problem(409, "task-is-final");
}

#[test]
fn cancel_and_retry_need_an_existing_task() {
    let api = Api::new();
    let id = api.submit_text("fine", &[]);
    let unknown = format!("{}{}", &id[..30], "ffffff");
    for action in ["cancel", "retry"] {
        api.post_to(&format!("/v1/tasks/{unknown}/{action}"), None)
            .problem(404, "task-not-found");
        api.post_to(&format!("/v1/tasks/no-id/{action}"), None)
            .problem(404, "task-not-found");
        api.send("POST", &format!("/v1/tasks/{id}/{action}"), &[], None)
            .problem(401, "unauthorized");
        api.get(&format!("/v1/tasks/{id}/{action}"))
            .problem(405, "method-not-allowed");
    }
}

#[test]
fn only_a_failed_or_cancelled_task_can_be_retried() {
    let api = Api::new();
    let completed = api.submit_text("fine", &[]);
    let before = api.finished(&completed);
    let detail = api.retry(&completed).problem(409, "task-not-retryable");
    assert!(detail.contains("completed"), "{detail}");
    assert_eq!(api.show(&completed), before);

    let open = api.submit_limited(json!({ "max_attempts": 9 }), &[("fault", "transient:99")]);
    api.retry(&open).problem(409, "task-not-retryable");
    assert_eq!(api.cancel(&open).status, 200);

    // A permanent failure can be retried too: its cause may have been fixed.
    let failed = api.submit_text("fine", &[("fault", "panic")]);
    api.failed(&failed, "permanent", "panic");
    let retried = api.retry(&failed);
    assert_eq!(
        (
            retried.status,
            &retried.body["generation"],
            &retried.body["status"]
        ),
        (202, &json!(2), &json!("pending")),
        "{retried:?}"
    );
    assert!(retried.body.get("error").is_none(), "{retried:?}");
    let task = api.failed(&failed, "permanent", "panic");
    assert_eq!(task["attempts"].as_array().map(Vec::len), Some(2), "{task}");
}

#[test]
fn of_concurrent_cancels_or_retries_exactly_one_succeeds() {
    let api = Api::new();
    let id = api.submit_limited(json!({ "max_attempts": 9 }), &[("fault", "transient:99")]);
    let ten_concurrent = |call: fn(&Api, &str) -> mesh_tests::Reply| -> Vec<u16> {
        std::thread::scope(|scope| {
            let sent: Vec<_> = (0..10).map(|_| scope.spawn(|| call(&api, &id).status)).collect();
            let mut statuses: Vec<_> = sent
                .into_iter()
                .map(|status| status.join().expect("a response"))
                .collect();
            statuses.sort_unstable();
            statuses
        })
    };
    let mut expected = vec![200];
    expected.extend([409; 9]);
    assert_eq!(ten_concurrent(Api::cancel), expected);
    expected[0] = 202;
    assert_eq!(ten_concurrent(Api::retry), expected);
    assert_eq!(api.show(&id)["generation"], 2);
    assert_eq!(api.cancel(&id).status, 200);
}

//! Cancelling and retrying a task.

use mesh_tests::{Api, Lane, clients, eventually, log_events, pictures, sounds};
use serde_json::{Value, json};

fn await_running(api: &Api, id: &str) {
    eventually("the task runs", || {
        (api.show(id)["status"] == "processing").then_some(())
    });
}

fn assert_cancelled(task: &Value) {
    assert_eq!(task["status"], "cancelled", "{task}");
    for absent in ["result", "error", "next_attempt_at"] {
        assert!(task.get(absent).is_none(), "{task}");
    }
}

#[test]
fn a_task_that_waits_for_its_next_attempt_is_cancelled_and_does_not_run_again() {
    let (api, cloud) = clients();
    let id = api.submit_text("fine", &[("fault", "busy:600")]);
    eventually("the task waits for its next attempt", || {
        api.show(&id).get("next_attempt_at").is_some().then_some(())
    });
    let cancelled = api.cancel(&id);
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(cancelled.body["status"], "cancelled", "{cancelled:?}");
    let before = cloud.item(&id);
    // Its own message is not visible before the end of the back-off.
    cloud.send_message(&Lane::Text.queue_url(), &id, 1);
    eventually("the message is delivered and dropped", || {
        log_events("message_obsolete", &id).pop()
    });
    assert_eq!(cloud.item(&id), before);
}

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
fn a_cancelled_task_can_be_retried_and_its_old_message_starts_nothing() {
    let (api, cloud) = clients();
    let id = eventually("a task is cancelled between its two attempts", || {
        let id = api.submit_text("fine", &[("fault", "transient:1")]);
        eventually("its first attempt has started", || {
            (api.show(&id)["attempt"] != 0).then_some(())
        });
        let cancelled = api.cancel(&id);
        (cancelled.status == 200 && cancelled.body["attempt"] == 1).then_some(id)
    });
    let retried = api.retry(&id);
    assert_eq!(retried.status, 202, "{retried:?}");
    cloud.send_message(&Lane::Text.queue_url(), &id, 1);
    let task = api.finished(&id);
    assert_eq!(
        (&task["status"], &task["generation"], &task["attempt"]),
        (&json!("completed"), &json!(2), &json!(2)),
        "{task}"
    );
    let generations: Vec<_> = task["attempts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|attempt| attempt["generation"].clone())
        .collect();
    assert_eq!(generations, [1, 2, 2], "{task}");
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
    let (api, cloud) = clients();
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
    assert_eq!(cloud.item(&id)["generation"].as_n().map(String::as_str), Ok("2"));
    assert_eq!(api.cancel(&id).status, 200);
}

#[test]
fn a_running_task_is_cancelled_at_once_and_its_run_stops() {
    let (api, cloud) = clients();
    // A transcription, since the audio worker's function may run longest: no timeout stops the run so soon.
    let audio = pictures::base64(&sounds::silence(1));
    let id = api.submit(
        "transcribe",
        json!({ "audio": audio }),
        &[("fault", "slow:50000")],
    );
    await_running(&api, &id);
    let cancelled = api.cancel(&id);
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_cancelled(&cancelled.body);
    let before = cloud.item(&id);
    // The worker renews its lease twice a second on this stack, and the first renewal after the cancellation is refused.
    let lost = eventually("the worker loses its claim", || {
        log_events("claim_lost", &id).pop()
    });
    let lost_at: jiff::Timestamp = lost["timestamp"]
        .as_str()
        .and_then(|time| time.parse().ok())
        .expect("a time");
    let cancelled_at: jiff::Timestamp = cancelled.text("updated_at").parse().expect("a time");
    assert!(
        lost_at.duration_since(cancelled_at) < jiff::SignedDuration::from_secs(30),
        "the run stops before its 50 s: {lost}"
    );
    assert_eq!(cloud.item(&id), before, "the end of the run is not written");
    let task = api.show(&id);
    assert_cancelled(&task);
    assert_eq!(task["attempts"][0]["outcome"], "cancelled", "{task}");
}

mod serial {
    use super::*;

    #[test]
    fn a_queued_task_is_cancelled_and_never_runs() {
        let api = Api::new();
        let (id, other) = Lane::Text.paused(|| {
            let ids = (api.submit_text("fine", &[]), api.submit_text("fine", &[]));
            let cancelled = api.cancel(&ids.0);
            assert_eq!(cancelled.status, 200, "{cancelled:?}");
            ids
        });
        api.result(&other);
        let task = api.show(&id);
        assert_cancelled(&task);
        assert_eq!(
            (&task["attempt"], &task["attempts"]),
            (&json!(0), &json!([])),
            "{task}"
        );
    }
}

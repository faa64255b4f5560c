//! What a cancel means for a task's messages and for the run that it stops.

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
        let api = Api::of_cloud();
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

//! What a person may do to a task: cancel it, and give it another chance.

use mesh_tests::{Api, Cloud, Lane, eventually, logged, pictures, sounds};
use serde_json::{Value, json};

fn runs(api: &Api, id: &str) {
    eventually("it runs", || {
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
fn a_resting_task_is_cancelled_at_once_and_is_not_run_again() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = api.submit_text("fine", &[("fault", "busy:600")]);
    eventually("it rests", || {
        api.show(&id).get("next_attempt_at").is_some().then_some(())
    });
    let cancelled = api.cancel(&id);
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(cancelled.body["status"], "cancelled", "{cancelled:?}");
    let before = cloud.item(&id);
    // Its own message is hidden as long as the rest.
    cloud.ring(&Lane::Text.queue_url(), &id, 1);
    eventually("its message comes and is dropped", || {
        logged(&["message_obsolete", &id]).pop()
    });
    assert_eq!(cloud.item(&id), before);
}

#[test]
fn what_is_final_is_not_cancelled() {
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
fn only_a_task_can_be_cancelled_or_retried() {
    let api = Api::new();
    let id = api.submit_text("fine", &[]);
    let stranger = format!("{}{}", &id[..30], "ffffff");
    for action in ["cancel", "retry"] {
        api.post_to(&format!("/v1/tasks/{stranger}/{action}"), None)
            .problem(404, "task-not-found");
        api.post_to(&format!("/v1/tasks/no-id/{action}"), None)
            .problem(404, "task-not-found");
        let unknown = api.send("POST", &format!("/v1/tasks/{id}/{action}"), &[], None);
        unknown.problem(401, "unauthorized");
        api.get(&format!("/v1/tasks/{id}/{action}"))
            .problem(405, "method-not-allowed");
    }
}

#[test]
fn a_cancelled_task_can_be_retried_and_its_old_message_starts_nothing() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = eventually("one is cancelled between its two attempts", || {
        let id = api.submit_text("fine", &[("fault", "transient:1")]);
        eventually("its first attempt is over", || {
            (api.show(&id)["attempt"] != 0).then_some(())
        });
        let cancelled = api.cancel(&id);
        (cancelled.status == 200 && cancelled.body["attempt"] == 1).then_some(id)
    });
    let retried = api.retry(&id);
    assert_eq!(retried.status, 202, "{retried:?}");
    cloud.ring(&Lane::Text.queue_url(), &id, 1);
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
fn only_what_failed_or_was_cancelled_is_retried() {
    let api = Api::new();
    let completed = api.submit_text("fine", &[]);
    let before = api.finished(&completed);
    let detail = api.retry(&completed).problem(409, "task-not-retryable");
    assert!(detail.contains("completed"), "{detail}");
    assert_eq!(api.show(&completed), before);

    let resting = api.submit_limited(json!({ "max_attempts": 9 }), &[("fault", "transient:99")]);
    api.retry(&resting).problem(409, "task-not-retryable");
    assert_eq!(api.cancel(&resting).status, 200);

    // What was permanent may have been mended since: people may try.
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
fn of_many_cancels_and_retries_at_once_each_counts_once() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = api.submit_limited(json!({ "max_attempts": 9 }), &[("fault", "transient:99")]);
    let at_once = |act: fn(&Api, &str) -> mesh_tests::Reply| -> Vec<u16> {
        std::thread::scope(|scope| {
            let sent: Vec<_> = (0..10).map(|_| scope.spawn(|| act(&api, &id).status)).collect();
            let mut statuses: Vec<_> = sent
                .into_iter()
                .map(|status| status.join().expect("an answer"))
                .collect();
            statuses.sort_unstable();
            statuses
        })
    };
    let mut expected = vec![200];
    expected.extend([409; 9]);
    assert_eq!(at_once(Api::cancel), expected);
    expected[0] = 202;
    assert_eq!(at_once(Api::retry), expected);
    assert_eq!(cloud.item(&id)["generation"].as_n().map(String::as_str), Ok("2"));
    assert_eq!(api.cancel(&id).status, 200);
}

#[test]
fn a_running_task_is_cancelled_at_once_and_its_long_work_stops() {
    let (api, cloud) = (Api::new(), Cloud::new());
    // Of the lane whose function may run longest: nothing else stops it so soon.
    let audio = pictures::base64(&sounds::silence(1));
    let id = api.submit(
        "transcribe",
        json!({ "audio": audio }),
        &[("fault", "slow:50000")],
    );
    runs(&api, &id);
    let cancelled = api.cancel(&id);
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_cancelled(&cancelled.body);
    let before = cloud.item(&id);
    // The worker looks at its lease twice a second here, and finds it gone.
    let stopped = eventually("the worker stops", || logged(&["claim_lost", &id]).pop());
    let noticed: jiff::Timestamp = stopped["timestamp"]
        .as_str()
        .and_then(|time| time.parse().ok())
        .expect("a time");
    let cancelled_at: jiff::Timestamp = cancelled.text("updated_at").parse().expect("a time");
    assert!(
        noticed.duration_since(cancelled_at) < jiff::SignedDuration::from_secs(30),
        "it would have run for 50 s: {stopped}"
    );
    assert_eq!(cloud.item(&id), before, "its end is not written");
    let task = api.show(&id);
    assert_cancelled(&task);
    assert_eq!(task["attempts"][0]["outcome"], "cancelled", "{task}");
}

mod serial {
    use super::*;

    #[test]
    fn a_task_that_waits_for_its_worker_is_cancelled_and_never_runs() {
        let api = Api::new();
        let (id, kept) = Lane::Text.held_back(|| {
            let ids = (api.submit_text("fine", &[]), api.submit_text("fine", &[]));
            let cancelled = api.cancel(&ids.0);
            assert_eq!(cancelled.status, 200, "{cancelled:?}");
            ids
        });
        api.result(&kept);
        let task = api.show(&id);
        assert_cancelled(&task);
        assert_eq!(
            (&task["attempt"], &task["attempts"]),
            (&json!(0), &json!([])),
            "{task}"
        );
    }
}

//! What a failing attempt means for its task and for those beside it. Faults are asked for by metadata; the functions
//! under test are built with the feature that heeds it.

use jiff::{SignedDuration, Timestamp};
use mesh_tests::{Api, Cloud, Lane, eventually, logged, pictures};
use serde_json::{Value, json};

/// How the janitor notes a message that was received in vain too often.
const SET_ASIDE: &str = "a message came to the dead-letter queue";

#[test]
fn a_transient_fault_is_tried_again_and_leaves_no_error() {
    let api = Api::new();
    let task = api.finished(&api.submit_text("fine", &[("fault", "transient:1")]));
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(2)),
        "{task}"
    );
    for gone in ["error", "next_attempt_at"] {
        assert!(task.get(gone).is_none(), "{task}");
    }
}

#[test]
fn the_last_attempt_counts_as_much_as_the_first() {
    let api = Api::new();
    let task = api.finished(&api.submit_text("fine", &[("fault", "transient:2")]));
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(3)),
        "{task}"
    );
}

#[test]
fn between_two_attempts_a_task_is_pending_and_shows_its_error_and_its_next_time() {
    let api = Api::new();
    let id = api.submit_limited(json!({ "max_attempts": 10 }), &[("fault", "transient:99")]);
    let resting = eventually("the task rests", || {
        let task = api.show(&id);
        (task["status"] == "pending" && task.get("error").is_some()).then_some(task)
    });
    assert_eq!(
        (&resting["error"]["kind"], &resting["error"]["code"]),
        (&json!("transient"), &json!("fault")),
        "{resting}"
    );
    let time = |name: &str| {
        resting[name]
            .as_str()
            .and_then(|time| time.parse::<Timestamp>().ok())
    };
    let (next, updated) = (
        time("next_attempt_at").expect("a time"),
        time("updated_at").expect("a time"),
    );
    assert!(next >= updated, "{resting}");
    assert!(
        next.duration_since(updated) <= SignedDuration::from_secs(2),
        "a rest is bounded: {resting}"
    );
}

#[test]
fn a_poison_task_is_exhausted_and_its_message_set_aside_after_exactly_three_receives() {
    let api = Api::new();
    let id = api.submit_text("fine", &[("fault", "transient:99")]);
    let task = api.failed(&id, "exhausted", "fault");
    assert_eq!(task["attempt"], 3, "{task}");
    assert!(task.get("next_attempt_at").is_none(), "{task}");

    // Each attempt took a delivery of its own, and all three were of one message, which the queue then gave up.
    let seen = eventually("the janitor sees its message", || logged(&[SET_ASIDE, &id]).pop());
    assert_eq!(
        (&seen["receives"], &seen["status"]),
        (&json!("4"), &json!("failed")),
        "{seen}"
    );
    assert_eq!(api.show(&id), task, "nothing follows");
}

#[test]
fn a_task_that_fails_for_good_leaves_no_dead_letter() {
    let api = Api::new();
    let bad = api.submit_image(&pictures::hollow_png(64, 64), &[]);
    api.failed(&bad, "permanent", "invalid_image");
    // A later one is there: so would the first be.
    let poison = api.submit_text("fine", &[("fault", "transient:99")]);
    eventually("the janitor sees the poison's message", || {
        logged(&[SET_ASIDE, &poison]).pop()
    });
    assert!(logged(&[SET_ASIDE, &bad]).is_empty());
}

mod serial {
    use super::*;

    #[test]
    fn a_panic_fails_its_own_task_and_none_beside_it() {
        let api = Api::new();
        let ids = Lane::Text.held_back(|| {
            let fault = |n| if n == 4 { ("fault", "panic") } else { ("n", "fine") };
            (0..10)
                .map(|n| api.submit_text("fine", &[fault(n)]))
                .collect::<Vec<_>>()
        });
        for (n, id) in ids.iter().enumerate() {
            if n == 4 {
                let task = api.failed(id, "permanent", "panic");
                assert_eq!(task["attempt"], 1, "{task}");
            } else {
                let task = api.finished(id);
                assert_eq!(
                    (&task["status"], &task["attempt"]),
                    (&json!("completed"), &json!(1)),
                    "{task}"
                );
            }
        }
    }

    #[test]
    fn an_input_that_is_gone_or_was_changed_is_not_run() {
        let (api, cloud) = (Api::new(), Cloud::new());
        // Of few words, so that it travels in the lane that is held back, and too long for its item.
        let text = format!("What a wonderful film. {}", "x".repeat(5_000));
        let (gone, changed, kept) = Lane::Text.held_back(|| {
            let ids = ["none", "none", "slow:4500"].map(|fault| api.submit_text(&text, &[("fault", fault)]));
            let keys = ids.each_ref().map(|id| {
                let task = api.show(id);
                task["input"]["object"]["key"]
                    .as_str()
                    .expect("a large text is an object")
                    .to_owned()
            });
            cloud.delete_payload(&keys[0]);
            cloud.overwrite_payload(&keys[1], "Another text altogether.");
            ids.into()
        });
        let kept = api.finished(&kept);
        assert_eq!(kept["status"], "completed", "{kept}");
        let time = |task: &Value, name: &str| -> Timestamp {
            let time = task["attempts"][0][name].as_str().expect("a time");
            time.parse().expect("a time")
        };
        for (id, code) in [(gone, "payload_missing"), (changed, "payload_changed")] {
            let task = api.failed(&id, "permanent", code);
            let ran_on = time(&kept, "ended_at").duration_since(time(&task, "ended_at"));
            if time(&task, "started_at") < time(&kept, "ended_at") - SignedDuration::from_secs(2) {
                assert!(
                    ran_on > SignedDuration::from_millis(500),
                    "it waits for no neighbour's run: {task} {kept}"
                );
            }
            assert_eq!(
                task["attempt"], 2,
                "it is looked for once more after a while: {task}"
            );
        }
    }
}

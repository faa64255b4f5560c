//! What a failing attempt means for its message and for the other tasks of its batch.

use jiff::{SignedDuration, Timestamp};
use mesh_tests::{Api, Cloud, Lane, clients, eventually, log_events, pictures};
use serde_json::{Value, json};

/// The event of a message that the queue moved to the dead-letter queue, as the sweeper logs it.
const DEAD_LETTER: &str = "dead_letter_received";

#[test]
fn a_task_that_always_fails_is_exhausted_and_dead_lettered_after_exactly_three_receives() {
    let api = Api::of_cloud();
    let id = api.submit_text("fine", &[("fault", "transient:99")]);
    let task = api.failed(&id, "exhausted", "fault");
    assert_eq!(task["attempt"], 3, "{task}");
    assert!(task.get("next_attempt_at").is_none(), "{task}");

    // Each attempt was one receive of the same message. The fourth is the sweeper's, from the dead-letter queue.
    let received = eventually("the sweeper receives the message", || {
        log_events(DEAD_LETTER, &id).pop()
    });
    assert_eq!(
        (&received["receives"], &received["status"]),
        (&json!("4"), &json!("failed")),
        "{received}"
    );
    assert_eq!(api.show(&id), task, "the task does not change any more");
}

#[test]
fn a_task_that_fails_permanently_leaves_no_dead_letter() {
    let api = Api::of_cloud();
    let failed_at_first = api.submit_image(&pictures::png_without_pixels(64, 64), &[]);
    api.failed(&failed_at_first, "permanent", "invalid_image");
    // It fails permanently in its third attempt, at its message's last receive. If the worker treated that as a dead letter,
    // the queue would move the message to the dead-letter queue at once. This stack has no language provider.
    let input = json!({ "text": "Good morning", "target_language": "de" });
    let failed_at_last = api.submit("translate", input, &[("fault", "transient:2")]);
    let task = api.failed(&failed_at_last, "permanent", "provider_not_configured");
    assert_eq!(task["attempt"], 3, "{task}");
    let attempts = eventually("its attempts are logged", || {
        Some(log_events("attempt_ended", &failed_at_last)).filter(|attempts| attempts.len() == 3)
    });
    assert_eq!(attempts[2]["settlement"], "failed", "{attempts:?}");

    // A dead letter of the same lane, which is logged after theirs would have been.
    let dead = api.submit(
        "translate",
        json!({ "text": "Good evening", "target_language": "de" }),
        &[("fault", "transient:99")],
    );
    api.failed(&dead, "exhausted", "fault");
    eventually("the sweeper receives the younger dead letter", || {
        log_events(DEAD_LETTER, &dead).pop()
    });
    for id in [&failed_at_first, &failed_at_last] {
        assert_eq!(log_events(DEAD_LETTER, id), [] as [Value; 0]);
    }
}

mod serial {
    use super::*;

    #[test]
    fn a_panic_fails_its_own_task_and_no_other_of_its_batch() {
        let api = Api::of_cloud();
        let ids = Lane::Text.paused(|| {
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
                api.completed(id, 1);
            }
        }
    }

    /// Three tasks of one batch.
    struct Batch {
        /// Its input was deleted.
        missing: String,
        /// Its input was overwritten.
        changed: String,
        /// It runs for 4.5 s.
        slow: String,
    }

    /// Submits three tasks, and changes two of their inputs before they are delivered.
    fn submit_batch(api: &Api, cloud: &Cloud) -> Batch {
        // Few words, so that the task is small and goes to the paused lane, but too many bytes for its item.
        let text = format!("What a wonderful film. {}", "x".repeat(5_000));
        Lane::Text.paused(|| {
            let [missing, changed, slow] =
                ["none", "none", "slow:4500"].map(|fault| api.submit_text(&text, &[("fault", fault)]));
            let key = |id: &str| {
                let task = api.show(id);
                task["input"]["object"]["key"]
                    .as_str()
                    .expect("a large text is an object")
                    .to_owned()
            };
            cloud.delete_payload(&key(&missing));
            cloud.overwrite_payload(&key(&changed), "Another text altogether.");
            Batch {
                missing,
                changed,
                slow,
            }
        })
    }

    /// The invocation that made a task's first attempt.
    fn first_invocation(id: &str) -> String {
        // The local cloud writes an invocation's log when it ends, so the second attempt's entry may come first.
        let ended = eventually("the first attempt is logged", || {
            log_events("attempt_ended", id)
                .into_iter()
                .find(|entry| entry["attempt"] == 1)
        });
        let invocation = ended["function_request_id"].as_str();
        invocation.expect("the entry names its invocation").to_owned()
    }

    #[test]
    fn a_missing_or_changed_input_is_not_run() {
        let (api, cloud) = clients();
        // Messages of other tests may be delivered between these three, in which case they are two batches.
        let batch = eventually("one invocation runs all three tasks", || {
            let batch = submit_batch(&api, &cloud);
            api.result(&batch.slow);
            let of_slow = first_invocation(&batch.slow);
            let others = [&batch.missing, &batch.changed];
            others
                .iter()
                .all(|id| first_invocation(id) == of_slow)
                .then_some(batch)
        });
        let slow = api.show(&batch.slow);
        let first_end = |task: &Value| -> Timestamp {
            let time = task["attempts"][0]["ended_at"].as_str().expect("a time");
            time.parse().expect("a time")
        };
        for (id, code) in [
            (&batch.missing, "payload_missing"),
            (&batch.changed, "payload_changed"),
        ] {
            let task = api.failed(id, "permanent", code);
            let ran_on = first_end(&slow).duration_since(first_end(&task));
            assert!(
                ran_on > SignedDuration::from_millis(500),
                "the attempt ends without waiting for the rest of its batch: {task} {slow}"
            );
            assert_eq!(
                task["attempt"], 2,
                "the input is read once more after a while: {task}"
            );
        }
    }
}

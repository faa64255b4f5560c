//! What time alone must mend: lost messages, workers that are gone, dead letters that never ran, clocks that differ. The
//! tests run the janitor themselves, beside its own schedule.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use mesh_tests::{Api, Cloud, Lane, eventually, logged, pictures, setting, sounds};
use serde_json::{Value, json};

/// Submits a text whose message is never sent. The caller was told to try again, and did not. It is of the lane that no
/// other test fills: the janitor rings for nothing that a backlog may explain.
fn submit_unsent(api: &Api, cloud: &Cloud) -> String {
    let note = Timestamp::now().as_nanosecond().to_string();
    let body = json!({ "type": "sentiment", "input": { "text": "fine" }, "priority": "low", "metadata": { "note": note } });
    let reply = api.post_keyed(&note, &body, "SendMessage=before");
    assert_eq!(reply.status, 503, "{reply:?}");
    cloud.task_of_key(&note)
}

/// Runs the janitor until the task is final.
fn tended(api: &Api, cloud: &Cloud, id: &str) -> Value {
    eventually("the janitor brings it to its end", || {
        cloud.run_janitor();
        let task = api.show(id);
        matches!(task["status"].as_str(), Some("completed" | "failed")).then_some(task)
    })
}

fn millis(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_millisecond().to_string())
}

fn small_picture() -> Vec<u8> {
    pictures::encode(&image::DynamicImage::new_rgb8(64, 64), image::ImageFormat::Png)
}

#[test]
fn a_task_whose_message_was_never_sent_is_rung_for() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = submit_unsent(&api, &cloud);
    let task = tended(&api, &cloud, &id);
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(1)),
        "{task}"
    );
    eventually("it is logged", || {
        logged(&["a task is rung for again", &id]).pop()
    });
}

#[test]
fn a_dead_letter_that_never_ran_is_sent_again() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = submit_unsent(&api, &cloud);
    // As if its function had not been able to start, three times. So that it is this message's doing, and not the
    // overdue task's, it is due in an hour.
    cloud.edit(
        &id,
        "SET due_at = :later",
        &[(":later", millis(Timestamp::now() + SignedDuration::from_hours(1)))],
    );
    cloud.ring(&setting("DEAD_LETTER_QUEUE_URL"), &id, 1);
    let task = api.finished(&id);
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(1)),
        "{task}"
    );
    let seen = eventually("it is logged", || {
        Some(logged(&["a message came to the dead-letter queue", &id])).filter(|seen| !seen.is_empty())
    });
    assert_eq!(
        (seen.len(), &seen[0]["status"]),
        (1, &json!("pending")),
        "{seen:?}"
    );
    eventually("the queue drains to empty", || {
        (cloud.messages(&setting("DEAD_LETTER_QUEUE_URL")) == 0).then_some(())
    });
}

#[test]
fn a_rest_too_long_for_a_message_ends_by_the_due_index() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = api.submit_text("fine", &[("fault", "busy:1000")]);
    let resting = eventually("it rests", || {
        let task = api.show(&id);
        task.get("next_attempt_at").is_some().then_some(task)
    });
    let until: Timestamp = resting["next_attempt_at"]
        .as_str()
        .and_then(|time| time.parse().ok())
        .expect("a time");
    let rests = until.duration_since(Timestamp::now());
    assert!(
        (SignedDuration::from_secs(960)..=SignedDuration::from_secs(1000)).contains(&rests),
        "{resting}"
    );
    let item = cloud.item(&id);
    assert_eq!(
        item["due_at"], item["next_attempt_at"],
        "the janitor looks when it is over"
    );
    cloud.run_janitor();
    assert_eq!(api.show(&id), resting, "and not before");

    let past = millis(Timestamp::now() - SignedDuration::from_secs(1));
    cloud.edit(
        &id,
        "SET due_at = :past, next_attempt_at = :past",
        &[(":past", past)],
    );
    let task = tended(&api, &cloud, &id);
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(1)),
        "{task}"
    );
}

#[test]
fn a_clock_that_was_ten_minutes_ahead_delays_a_task_and_loses_nothing() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = submit_unsent(&api, &cloud);
    // Accepted by a machine whose clock is ahead.
    let ahead = Timestamp::now() + SignedDuration::from_mins(10);
    cloud.edit(
        &id,
        "SET created_at = :ahead, updated_at = :ahead, due_at = :ahead",
        &[(":ahead", millis(ahead))],
    );
    cloud.run_janitor();
    assert_eq!(api.show(&id)["status"], "pending");
    // Ten minutes later.
    let past = millis(Timestamp::now() - SignedDuration::from_secs(1));
    cloud.edit(&id, "SET due_at = :past", &[(":past", past)]);
    let task = tended(&api, &cloud, &id);
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(1)),
        "{task}"
    );
}

#[test]
fn a_frozen_workers_task_is_given_to_another_and_its_late_finish_is_refused() {
    let (api, cloud) = (Api::new(), Cloud::new());
    // Of the lane whose function may run longest.
    let audio = pictures::base64(&sounds::silence(1));
    let id = api.submit(
        "transcribe",
        json!({ "audio": audio }),
        &[("fault", "stall:12000")],
    );
    eventually("another worker has it", || {
        cloud.run_janitor();
        (api.show(&id)["attempt"] == 2).then_some(())
    });
    let task = api.finished(&id);
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(2)),
        "{task}"
    );
    let outcomes = [&task["attempts"][0]["outcome"], &task["attempts"][1]["outcome"]];
    assert_eq!(outcomes, ["lost", "completed"], "{task}");
    eventually("the first worker's finish is refused", || {
        logged(&["stale_finish_refused", &id]).pop()
    });
    // But for the link to its recording, which is signed anew each time.
    let unsigned = |mut task: Value| {
        task["input_link"].take();
        task
    };
    assert_eq!(unsigned(api.show(&id)), unsigned(task), "and changes nothing");
}

mod serial {
    use super::*;

    #[test]
    fn an_accepted_task_whose_message_is_lost_is_rung_for() {
        let (api, cloud) = (Api::new(), Cloud::new());
        let id = Lane::Text.held_back(|| {
            let id = api.submit_text("fine", &[]);
            cloud.lose_message(&Lane::Text.queue_url(), &id);
            id
        });
        let task = tended(&api, &cloud, &id);
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(1)),
            "{task}"
        );
    }

    #[test]
    fn a_backlog_is_not_taken_for_a_loss() {
        const TASKS: usize = 1_000;
        // The janitor asks whether a lane has messages, not how many: the tasks that are run have theirs, and the others'
        // would only be in the way of other tests.
        const RUN: usize = 100;
        let (api, cloud) = (Api::new(), Cloud::new());
        let queue_url = Lane::Text.queue_url();
        let (ids, rung) = Lane::Text.held_back(|| {
            let first = api.submit_text("fine", &[]);
            // They are all of one age, however long the writing of them takes.
            let accepted_at = Timestamp::now() + SignedDuration::from_secs(5);
            cloud.edit(
                &first,
                "SET created_at = :accepted_at, due_at = :due_at",
                &[
                    (":accepted_at", millis(accepted_at)),
                    (":due_at", millis(accepted_at + SignedDuration::from_secs(3))),
                ],
            );
            let mut ids = vec![first];
            ids.extend(cloud.copy(&ids[0], TASKS - 1));
            for id in &ids[1..RUN] {
                cloud.ring(&queue_url, id, 1);
            }
            // On this stack three seconds stand for the minute that the template has between two looks, so half a
            // minute stands for ten minutes without workers.
            let until = accepted_at + SignedDuration::from_secs(30);
            let (mut seen, mut rung) = (0, 0);
            while Timestamp::now() < until || seen < TASKS as u64 {
                let done = cloud.run_janitor();
                seen += done["seen"].as_u64().expect("a number");
                rung += done["rung"].as_u64().expect("a number");
            }
            // To run them all would only take the other tests' time.
            cloud.forget(&ids[RUN..]);
            (ids, rung)
        });
        assert!(rung < 100, "{rung} extra messages for {TASKS} tasks");
        println!("{rung} extra messages for {TASKS} tasks");
        for id in &ids[..RUN] {
            let task = api.finished(id);
            assert_eq!(
                (&task["status"], &task["attempt"]),
                (&json!("completed"), &json!(1)),
                "{task}"
            );
        }
    }
}

mod serial_image {
    use super::*;

    #[test]
    fn a_killed_workers_task_is_taken_back_when_its_lease_runs_out_and_at_last_ended() {
        let (api, cloud) = (Api::new(), Cloud::new());
        let image = pictures::base64(&small_picture());
        let killer = json!({
            "type": "face_detection", "input": { "image": image }, "max_attempts": 2, "metadata": { "fault": "abort" },
        });
        let id = api.post(&killer).text("id").to_owned();
        let task = tended(&api, &cloud, &id);
        assert_eq!(
            (&task["error"]["kind"], &task["error"]["code"], &task["attempt"]),
            (&json!("exhausted"), &json!("crashed"), &json!(2)),
            "{task}"
        );
        for attempt in task["attempts"].as_array().expect("a list") {
            assert_eq!(attempt["outcome"], "lost", "{task}");
        }
        assert!(
            !logged(&["a task was taken back from a worker that is gone", &id]).is_empty(),
            "long before its message is shown again"
        );
        api.result(&api.submit_image(&small_picture(), &[]));
    }

    #[test]
    fn a_worker_whose_clock_is_ten_minutes_behind_loses_its_task_and_cannot_end_it_a_second_time() {
        let (api, cloud) = (Api::new(), Cloud::new());
        let id = api.submit_image(&small_picture(), &[("fault", "slow:2500")]);
        eventually("it runs", || {
            (api.show(&id)["status"] == "processing").then_some(())
        });
        // Its lease is written by its worker's clock, and renewed by it: each time it has long run out for everyone else.
        let behind = millis(Timestamp::now() - SignedDuration::from_mins(10));
        let past = millis(Timestamp::now() - SignedDuration::from_secs(1));
        cloud.edit(
            &id,
            "SET lease_until = :behind, due_at = :past",
            &[(":behind", behind), (":past", past)],
        );
        let reclaimed = cloud.run_janitor()["reclaimed"].as_u64();
        let task = tended(&api, &cloud, &id);
        assert_eq!(task["status"], "completed", "{task}");
        if reclaimed > Some(0) {
            let refused = ["claim_lost", "stale_finish_refused"];
            eventually("the first worker is refused", || {
                refused.iter().find_map(|words| logged(&[words, &id]).pop())
            });
            assert_eq!(task["attempt"], 2, "{task}");
        }
        let completed = task["attempts"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|attempt| attempt["outcome"] == "completed");
        assert_eq!(completed.count(), 1, "{task}");
    }
}

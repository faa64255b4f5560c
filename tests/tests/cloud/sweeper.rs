//! What the sweeper repairs after a while: lost messages, dead workers, dead letters that never ran, and clocks that differ.
//! The tests invoke the sweeper themselves, in addition to its own schedule.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use mesh_tests::{
    Api, Cloud, Lane, assert_completed, clients, eventually, log_events, pictures, setting, sounds,
};
use serde_json::{Value, json};

/// Submits a text whose message is never sent: the API's call fails, and nobody repeats the request. The task is of the lane
/// that no other test fills, since the sweeper does not requeue tasks of a lane with a backlog.
fn submit_unsent(api: &Api, cloud: &Cloud) -> String {
    let key = Timestamp::now().as_nanosecond().to_string();
    let body = json!({ "type": "sentiment", "input": { "text": "fine" }, "priority": "low", "metadata": { "key": key } });
    let reply = api.post_keyed_with_faults(&key, &body, "SendMessage=before");
    assert_eq!(reply.status, 503, "{reply:?}");
    cloud.task_of_key(&key)
}

/// Runs the sweeper until the task has completed or failed, and returns it.
fn sweep_until_final(api: &Api, cloud: &Cloud, id: &str) -> Value {
    eventually("the task becomes final", || {
        cloud.run_sweeper();
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
fn a_task_whose_message_was_never_sent_is_requeued() {
    let (api, cloud) = clients();
    let id = submit_unsent(&api, &cloud);
    let task = sweep_until_final(&api, &cloud, &id);
    assert_completed(&task, 1);
    eventually("the requeue is logged", || log_events("task_requeued", &id).pop());
}

#[test]
fn a_dead_letter_whose_task_never_ran_is_resent() {
    let (api, cloud) = clients();
    let id = submit_unsent(&api, &cloud);
    // As if its function had failed to start three times. The task is not due for an hour, so that nothing but the dead
    // letter can start it.
    cloud.edit(
        &id,
        "SET due_at = :later",
        &[(":later", millis(Timestamp::now() + SignedDuration::from_hours(1)))],
    );
    cloud.send_message(&setting("DEAD_LETTER_QUEUE_URL"), &id, 1);
    api.completed(&id, 1);
    let received = eventually("the dead letter is logged", || {
        Some(log_events("dead_letter_received", &id)).filter(|received| !received.is_empty())
    });
    assert_eq!(
        (received.len(), &received[0]["status"]),
        (1, &json!("pending")),
        "{received:?}"
    );
    eventually("the dead-letter queue is empty", || {
        (cloud.message_count(&setting("DEAD_LETTER_QUEUE_URL")) == 0).then_some(())
    });
}

#[test]
fn the_sweeper_requeues_a_task_whose_back_off_is_too_long_for_a_message() {
    let (api, cloud) = clients();
    let id = api.submit_text("fine", &[("fault", "busy:1000")]);
    let waiting = eventually("the task waits for its next attempt", || {
        let task = api.show(&id);
        task.get("next_attempt_at").is_some().then_some(task)
    });
    let until: Timestamp = waiting["next_attempt_at"]
        .as_str()
        .and_then(|time| time.parse().ok())
        .expect("a time");
    let wait = until.duration_since(Timestamp::now());
    assert!(
        (SignedDuration::from_secs(960)..=SignedDuration::from_secs(1000)).contains(&wait),
        "{waiting}"
    );
    let item = cloud.item(&id);
    assert_eq!(
        item["due_at"], item["next_attempt_at"],
        "the sweeper checks the task at the end of its back-off"
    );
    cloud.run_sweeper();
    assert_eq!(
        api.show(&id),
        waiting,
        "the sweeper does not change the task before that"
    );

    let past = millis(Timestamp::now() - SignedDuration::from_secs(1));
    cloud.edit(
        &id,
        "SET due_at = :past, next_attempt_at = :past",
        &[(":past", past)],
    );
    let task = sweep_until_final(&api, &cloud, &id);
    assert_completed(&task, 1);
}

#[test]
fn a_clock_ten_minutes_ahead_delays_a_task_and_loses_nothing() {
    let (api, cloud) = clients();
    let id = submit_unsent(&api, &cloud);
    // As if it had been accepted by a machine whose clock is ahead.
    let ahead = Timestamp::now() + SignedDuration::from_mins(10);
    cloud.edit(
        &id,
        "SET created_at = :ahead, updated_at = :ahead, due_at = :ahead",
        &[(":ahead", millis(ahead))],
    );
    cloud.run_sweeper();
    assert_eq!(api.show(&id)["status"], "pending");
    // As if ten minutes had passed.
    let past = millis(Timestamp::now() - SignedDuration::from_secs(1));
    cloud.edit(&id, "SET due_at = :past", &[(":past", past)]);
    let task = sweep_until_final(&api, &cloud, &id);
    assert_completed(&task, 1);
}

#[test]
fn a_frozen_worker_s_task_goes_to_another_worker_and_its_late_finish_is_refused() {
    let (api, cloud) = clients();
    // A transcription, since the audio worker's function may run longest.
    let audio = pictures::base64(&sounds::silence(1));
    let id = api.submit(
        "transcribe",
        json!({ "audio": audio }),
        &[("fault", "stall:12000")],
    );
    eventually("another worker has claimed the task", || {
        cloud.run_sweeper();
        (api.show(&id)["attempts"].as_array()?.len() == 2).then_some(())
    });
    let task = api.completed(&id, 1);
    let outcomes = [&task["attempts"][0]["outcome"], &task["attempts"][1]["outcome"]];
    assert_eq!(outcomes, ["lost", "completed"], "{task}");
    eventually("the first worker's finish is refused", || {
        log_events("stale_finish_refused", &id).pop()
    });
    // Except for the link to the recording, which is signed anew each time.
    let without_link = |mut task: Value| {
        task["input_link"].take();
        task
    };
    assert_eq!(
        without_link(api.show(&id)),
        without_link(task),
        "the late finish changes nothing"
    );
}

mod serial {
    use super::*;

    #[test]
    fn an_accepted_task_whose_message_is_lost_is_requeued() {
        let (api, cloud) = clients();
        let id = Lane::Text.paused(|| {
            let id = api.submit_text("fine", &[]);
            cloud.delete_message(&Lane::Text.queue_url(), &id);
            id
        });
        let task = sweep_until_final(&api, &cloud, &id);
        assert_completed(&task, 1);
    }

    #[test]
    fn a_backlog_is_not_treated_as_lost_messages() {
        const TASKS: usize = 1_000;
        // The number of tasks that have a message and run. The sweeper checks whether a lane has visible messages, not how
        // many, so messages of the other tasks would only delay other tests.
        const RUN: usize = 100;
        let (api, cloud) = clients();
        let queue_url = Lane::Text.queue_url();
        let (ids, requeued) = Lane::Text.paused(|| {
            let first = api.submit_text("fine", &[]);
            // All tasks have the same age, however long it takes to write them.
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
                cloud.send_message(&queue_url, id, 1);
            }
            // DueAfterSeconds is 3 on this stack and 60 in the template: half a minute here stands for ten minutes without
            // workers.
            let until = accepted_at + SignedDuration::from_secs(30);
            let (mut seen, mut requeued) = (0, 0);
            while Timestamp::now() < until || seen < TASKS as u64 {
                let report = cloud.run_sweeper();
                seen += report["seen"].as_u64().expect("a number");
                requeued += report["requeued"].as_u64().expect("a number");
            }
            // Running all tasks would delay other tests.
            cloud.delete_tasks(&ids[RUN..]);
            (ids, requeued)
        });
        assert!(requeued < 100, "{requeued} extra messages for {TASKS} tasks");
        println!("{requeued} extra messages for {TASKS} tasks");
        for id in &ids[..RUN] {
            api.completed(id, 1);
        }
    }
}

mod serial_image {
    use super::*;

    #[test]
    fn a_killed_worker_s_task_is_reclaimed_when_its_lease_expires_and_finally_fails() {
        let (api, cloud) = clients();
        let image = pictures::base64(&small_picture());
        let aborting = json!({
            "type": "face_detection", "input": { "image": image }, "max_attempts": 2, "metadata": { "fault": "abort" },
        });
        let id = api.post(&aborting).text("id").to_owned();
        let task = sweep_until_final(&api, &cloud, &id);
        assert_eq!(
            (&task["error"]["kind"], &task["error"]["code"], &task["attempt"]),
            (&json!("exhausted"), &json!("crashed"), &json!(2)),
            "{task}"
        );
        let outcomes = task["attempts"].as_array().expect("a list").iter();
        let outcomes: Vec<_> = outcomes.map(|attempt| &attempt["outcome"]).collect();
        // The first crash may have been another task's, so it is not spent.
        assert_eq!(outcomes, ["lost", "lost", "lost"], "{task}");
        assert!(
            !log_events("task_reclaimed", &id).is_empty(),
            "the lease expires long before the message is visible again"
        );
        api.result(&api.submit_image(&small_picture(), &[]));
    }

    /// A task that a sweep has reclaimed while its first worker still ran it. That worker's clock is ten minutes behind: it
    /// writes leases that have expired for everyone else.
    fn reclaim_a_running_task(api: &Api, cloud: &Cloud) -> String {
        eventually("a running task is reclaimed", || {
            let id = api.submit_image(&small_picture(), &[("fault", "slow:2500")]);
            eventually("the task runs", || {
                (api.show(&id)["status"] != "pending").then_some(())
            });
            // The real worker's clock is right. If it renews its lease between the edit and the sweep, the sweep does not
            // reclaim the task, and the loop edits it again. The condition excludes a second worker's claim and a final task.
            let is_first_claim = "fence = :first AND attribute_exists(lease_until)";
            loop {
                let behind = millis(Timestamp::now() - SignedDuration::from_mins(10));
                let past = millis(Timestamp::now() - SignedDuration::from_secs(1));
                let values = [
                    (":behind", behind),
                    (":past", past),
                    (":first", AttributeValue::N("1".to_owned())),
                ];
                let update = "SET lease_until = :behind, due_at = :past";
                if !cloud.edit_if(&id, is_first_claim, update, &values) {
                    break;
                }
                cloud.run_sweeper();
            }
            // On a busy machine the first attempt may have completed before a sweep: then another task is submitted.
            (api.finished(&id)["attempts"][0]["outcome"] == "lost").then_some(id)
        })
    }

    #[test]
    fn a_worker_whose_clock_is_ten_minutes_behind_loses_its_task_and_cannot_finish_it() {
        let (api, cloud) = clients();
        let id = reclaim_a_running_task(&api, &cloud);
        eventually("the reclaim is logged", || {
            log_events("task_reclaimed", &id).pop()
        });
        let task = api.completed(&id, 1);
        // At its next renewal, or when it writes its result.
        eventually("the first worker is refused", || {
            ["claim_lost", "stale_finish_refused"]
                .iter()
                .find_map(|event| log_events(event, &id).pop())
        });
        let completed = task["attempts"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|attempt| attempt["outcome"] == "completed");
        assert_eq!(completed.count(), 1, "{task}");
    }
}

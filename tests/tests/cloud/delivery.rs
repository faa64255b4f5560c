//! Messages that are delivered twice, late, or that are not a task's. The table keeps each of these promises, whatever the
//! queue does.

use mesh_tests::{Lane, clients, eventually, log_events, log_events_where};
use serde_json::json;

/// Waits until this number of the task's messages were found to have nothing left to do.
fn await_obsolete(id: &str, messages: usize) {
    eventually("the duplicate messages are delivered and dropped", || {
        (log_events("message_obsolete", id).len() >= messages).then_some(())
    });
}

#[test]
fn a_message_delivered_again_for_a_final_task_changes_nothing() {
    let (api, cloud) = clients();
    let completed = api.submit_text("fine", &[]);
    let failed = api.submit_text("fine", &[("fault", "panic")]);
    for id in [&completed, &failed] {
        api.finished(id);
        let before = cloud.item(id);
        cloud.send_message(&Lane::Text.queue_url(), id, 1);
        cloud.send_message(&Lane::Text.queue_url(), id, 1);
        // Two messages of a task in one batch count as one.
        await_obsolete(id, 1);
        assert_eq!(cloud.item(id), before, "no attribute changes");
        assert_eq!(before["fence"].as_n().map(String::as_str), Ok("1"));
    }
}

#[test]
fn a_duplicate_message_of_a_pending_task_runs_it_once() {
    let (api, cloud) = clients();
    let ids: Vec<_> = (0..5)
        .map(|_| {
            let id = api.submit_text("fine", &[]);
            cloud.send_message(&Lane::Text.queue_url(), &id, 1);
            cloud.send_message(&Lane::Text.queue_url(), &id, 1);
            id
        })
        .collect();
    for id in ids {
        api.completed(&id, 1);
        assert_eq!(
            cloud.item(&id)["fence"].as_n().map(String::as_str),
            Ok("1"),
            "the task was claimed once"
        );
    }
}

#[test]
fn a_duplicate_message_during_a_back_off_neither_shortens_it_nor_uses_an_attempt() {
    let (api, cloud) = clients();
    let id = api.submit_text("fine", &[("fault", "transient:1")]);
    eventually("the first attempt has started", || {
        (api.show(&id)["attempt"] != 0).then_some(())
    });
    for _ in 0..4 {
        cloud.send_message(&Lane::Text.queue_url(), &id, 1);
    }
    api.completed(&id, 2);
}

#[test]
fn a_message_of_another_generation_or_an_unknown_task_is_dropped() {
    let (api, cloud) = clients();
    let id = api.submit_text("fine", &[]);
    api.finished(&id);
    let before = cloud.item(&id);
    cloud.send_message(&Lane::Text.queue_url(), &id, 0);
    cloud.send_message(&Lane::Text.queue_url(), &id, 7);
    // A valid id that is not in the table.
    let unknown = format!("{}{}", &id[..30], "ffffff");
    cloud.send_message(&Lane::Text.queue_url(), &unknown, 1);
    await_obsolete(&id, 2);
    await_obsolete(&unknown, 1);
    assert_eq!(cloud.item(&id), before);
    api.get(&format!("/v1/tasks/{unknown}"))
        .problem(404, "task-not-found");
}

#[test]
fn a_message_of_a_redriven_task_s_first_generation_starts_nothing() {
    let (api, cloud) = clients();
    let dead = api.submit_limited(json!({ "max_attempts": 1 }), &[("fault", "transient:1")]);
    api.failed(&dead, "exhausted", "fault");
    let answer = api.post_to("/v1/dead-letters/redrive", Some(&json!({ "ids": [dead] })));
    assert_eq!(answer.body["redriven"], json!([dead]), "{answer:?}");
    let task = api.failed(&dead, "exhausted", "fault");
    assert_eq!(task["generation"], 2, "{task}");
    cloud.send_message(&Lane::Text.queue_url(), &dead, 1);
    await_obsolete(&dead, 1);
    assert_eq!(api.show(&dead), task);
}

#[test]
fn a_foreign_message_goes_to_the_dead_letter_queue_and_does_not_affect_its_neighbors() {
    let (api, cloud) = clients();
    let id = api.submit_text("fine", &[]);
    let foreign = [
        format!("not JSON {id}"),
        json!({ "mark": id }).to_string(),
        json!({ "tenant": "../other", "id": id, "generation": 1 }).to_string(),
        json!({ "tenant": "default", "id": format!("x{id}"), "generation": 1 }).to_string(),
        json!({ "tenant": "default", "id": id, "generation": -1 }).to_string(),
        json!([id, null]).to_string(),
    ];
    for body in &foreign {
        cloud.send_body(&Lane::Text.queue_url(), body);
    }
    let neighbors: Vec<_> = (0..8).map(|_| api.submit_text("fine", &[])).collect();
    for id in neighbors {
        api.completed(&id, 1);
    }
    for body in &foreign {
        let dropped = eventually("the sweeper logs and drops the message", || {
            log_events_where("foreign_message_dropped", "body", body).pop()
        });
        assert_eq!(
            dropped["receives"], "4",
            "the worker received it three times, the sweeper once: {dropped}"
        );
    }
}

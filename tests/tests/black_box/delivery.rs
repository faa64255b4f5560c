//! Messages that come twice, late, or from nowhere. Each of these promises is kept by the table, whatever the queue does.

use mesh_tests::{Api, Cloud, Lane, eventually, logged};
use serde_json::json;

/// How the worker notes a message that rings for nothing.
const NOTHING_TO_DO: &str = "message_obsolete";

/// Waits until that many deliveries for the task were found to have nothing left to do.
fn await_dropped(id: &str, messages: usize) {
    eventually("the doubled messages are delivered and dropped", || {
        (logged(&[NOTHING_TO_DO, id]).len() >= messages).then_some(())
    });
}

#[test]
fn a_message_delivered_again_after_the_end_changes_nothing() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let completed = api.submit_text("fine", &[]);
    let failed = api.submit_text("fine", &[("fault", "panic")]);
    for id in [&completed, &failed] {
        api.finished(id);
        let before = cloud.item(id);
        cloud.ring(&Lane::Text.queue_url(), id, 1);
        cloud.ring(&Lane::Text.queue_url(), id, 1);
        // Two messages in one batch are one.
        await_dropped(id, 1);
        assert_eq!(cloud.item(id), before, "not even a time is written");
        assert_eq!(before["fence"].as_n().map(String::as_str), Ok("1"));
    }
}

#[test]
fn a_message_doubled_before_the_end_runs_its_task_once() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let ids: Vec<_> = (0..5)
        .map(|_| {
            let id = api.submit_text("fine", &[]);
            cloud.ring(&Lane::Text.queue_url(), &id, 1);
            cloud.ring(&Lane::Text.queue_url(), &id, 1);
            id
        })
        .collect();
    for id in ids {
        let task = api.finished(&id);
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(1)),
            "{task}"
        );
        assert_eq!(
            cloud.item(&id)["fence"].as_n().map(String::as_str),
            Ok("1"),
            "claimed once"
        );
    }
}

#[test]
fn a_message_doubled_during_a_rest_does_not_cut_it_short_nor_spend_an_attempt() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = api.submit_text("fine", &[("fault", "transient:1")]);
    eventually("the task rests or is done", || {
        (api.show(&id)["attempt"] != 0).then_some(())
    });
    for _ in 0..4 {
        cloud.ring(&Lane::Text.queue_url(), &id, 1);
    }
    let task = api.finished(&id);
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(2)),
        "{task}"
    );
}

#[test]
fn a_message_of_another_generation_or_of_no_task_is_dropped() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = api.submit_text("fine", &[]);
    api.finished(&id);
    let before = cloud.item(&id);
    cloud.ring(&Lane::Text.queue_url(), &id, 0);
    cloud.ring(&Lane::Text.queue_url(), &id, 7);
    // Well-formed, and made here: the table has never heard of it.
    let stranger = format!("{}{}", &id[..30], "ffffff");
    cloud.ring(&Lane::Text.queue_url(), &stranger, 1);
    await_dropped(&id, 2);
    await_dropped(&stranger, 1);
    assert_eq!(cloud.item(&id), before);
    api.get(&format!("/v1/tasks/{stranger}"))
        .problem(404, "task-not-found");
}

#[test]
fn what_is_no_message_of_ours_is_set_aside_and_hurts_none_beside_it() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let mark = api.submit_text("fine", &[]);
    let strange = [
        format!("no JSON {mark}"),
        json!({ "mark": mark }).to_string(),
        json!({ "tenant": "../other", "id": mark, "generation": 1 }).to_string(),
        json!({ "tenant": "default", "id": format!("x{mark}"), "generation": 1 }).to_string(),
        json!({ "tenant": "default", "id": mark, "generation": -1 }).to_string(),
        json!([mark, null]).to_string(),
    ];
    for body in &strange {
        cloud.send(&Lane::Text.queue_url(), body);
    }
    let neighbours: Vec<_> = (0..8).map(|_| api.submit_text("fine", &[])).collect();
    for id in neighbours {
        let task = api.finished(&id);
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(1)),
            "{task}"
        );
    }
    for body in &strange {
        let set_aside = eventually("the janitor sets it aside", || {
            let lines = logged(&["it is set aside here", &mark]);
            lines.into_iter().find(|line| line["body"] == body.as_str())
        });
        assert_eq!(
            set_aside["receives"], "4",
            "three times there and once here: {set_aside}"
        );
    }
}

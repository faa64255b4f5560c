//! A request that is sent again makes no second task, wherever the first one was cut off.

use std::collections::BTreeSet;
use std::thread;

use mesh_tests::{Api, Cloud, eventually, sentiment};
use serde_json::{Value, json};

const NO_FAULT: &str = "";

/// A key that no other test, and no earlier run, has used.
fn fresh_key() -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{}-{now}", thread::current().name().unwrap_or_default())
}

/// A submission whose task can be found again in the table.
fn noted(key: &str) -> Value {
    let mut body = sentiment("fine");
    body["metadata"] = json!({ "note": key });
    body
}

#[test]
fn fifty_at_once_are_one_task() {
    let (api, cloud, key) = (Api::new(), Cloud::new(), fresh_key());
    let body = noted(&key);
    let ids: BTreeSet<_> = thread::scope(|scope| {
        let send = || {
            let reply = api.post_keyed(&key, &body, NO_FAULT);
            assert_eq!(reply.status, 202, "{reply:?}");
            reply.text("id").to_owned()
        };
        let sent: Vec<_> = (0..50).map(|_| scope.spawn(send)).collect();
        let ids = sent.into_iter().map(|id| id.join().expect("it is accepted"));
        ids.collect()
    });
    assert_eq!(ids.len(), 1, "{ids:?}");
    for id in &ids {
        let task = api.finished(id);
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(1)),
            "{task}"
        );
    }
    assert_eq!(cloud.noted("note", &key).len(), 1, "none lies beside it");
}

#[test]
fn the_first_task_is_returned_as_it_stands_whatever_the_order_of_fields() {
    let (api, key) = (Api::new(), fresh_key());
    let first = api.post_keyed(&key, &sentiment("fine"), NO_FAULT);
    api.finished(first.text("id"));
    let headers = [
        ("x-service-token", api.token()),
        ("content-type", "application/json"),
        ("idempotency-key", &key),
    ];
    let reordered = br#"{ "input": { "text": "fine" }, "type": "sentiment" }"#;
    let again = api.send("POST", "/v1/tasks", &headers, Some(reordered));
    assert_eq!(again.status, 202, "{again:?}");
    assert_eq!(
        (again.text("id"), again.text("status")),
        (first.text("id"), "completed")
    );
}

#[test]
fn another_body_under_the_same_key_is_refused() {
    let (api, key) = (Api::new(), fresh_key());
    let first = api.post_keyed(&key, &sentiment("fine"), NO_FAULT);
    api.post_keyed(&key, &sentiment("fine!"), NO_FAULT)
        .problem(422, "idempotency-key-reused");
    api.result(first.text("id"));
}

#[test]
fn what_can_be_no_key_is_refused() {
    let api = Api::new();
    for key in ["", "é", &"k".repeat(256)] {
        api.post_keyed(key, &sentiment("fine"), NO_FAULT)
            .problem(400, "invalid-idempotency-key");
    }
    let longest = format!("{:k<255}", fresh_key());
    assert_eq!(api.post_keyed(&longest, &sentiment("fine"), NO_FAULT).status, 202);
}

#[test]
fn a_refused_request_leaves_its_key_free() {
    let (api, key) = (Api::new(), fresh_key());
    api.post_keyed(&key, &sentiment(""), NO_FAULT)
        .problem(422, "invalid-input");
    assert_eq!(api.post_keyed(&key, &sentiment("fine"), NO_FAULT).status, 202);
}

/// A first request that is cut off in various ways, and its repeat.
#[test]
fn a_request_that_was_cut_off_anywhere_is_made_whole_by_the_next() {
    let (api, cloud) = (Api::new(), Cloud::new());
    for (fault, puts) in [
        // Of the two items that a keyed request puts, none, or both, or one.
        ("PutItem=before", 0),
        ("SendMessage=abort", 1),
        ("SendMessage=before", 1),
        ("SendMessage=after", 1),
        ("PutItem=after", 0),
    ] {
        let key = fresh_key();
        let cut_off = api.post_keyed(&key, &noted(&key), fault);
        assert!(cut_off.status >= 500, "{fault}: {cut_off:?}");
        assert_eq!(cloud.noted("note", &key).len(), puts, "{fault}");

        let id = eventually("the request is accepted", || {
            let reply = api.post_keyed(&key, &noted(&key), NO_FAULT);
            (reply.status == 202).then(|| reply.text("id").to_owned())
        });
        api.result(&id);
        assert_eq!(cloud.noted("note", &key).len(), 1, "{fault}");
    }
}

#[test]
fn a_call_that_the_client_sends_again_by_itself_is_no_second_request() {
    let (api, cloud, key) = (Api::new(), Cloud::new(), fresh_key());
    let reply = api.post_keyed(&key, &noted(&key), "PutItem=delay,SendMessage=delay");
    assert_eq!(reply.status, 202, "{reply:?}");
    api.result(reply.text("id"));
    assert_eq!(cloud.noted("note", &key).len(), 1);
}

#[test]
fn a_key_is_forgotten_after_a_day() {
    let (api, cloud, key) = (Api::new(), Cloud::new(), fresh_key());
    let first = api.post_keyed(&key, &sentiment("fine"), NO_FAULT);
    cloud.age_key(&key, jiff::SignedDuration::from_hours(25));
    let second = api.post_keyed(&key, &sentiment("quite fine"), NO_FAULT);
    assert_eq!(second.status, 202, "{second:?}");
    assert_ne!(first.text("id"), second.text("id"));
}

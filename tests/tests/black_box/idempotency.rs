//! A request that is repeated under its key creates no second task, wherever the first one was cut off.

use std::collections::BTreeSet;
use std::thread;

use mesh_tests::{Api, Cloud, clients, eventually, sentiment};
use serde_json::{Value, json};

const NO_FAULT: &str = "";

/// A key that is unique to this test and this run.
fn fresh_key() -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{}-{now}", thread::current().name().unwrap_or_default())
}

/// A submission whose task can be found in the table by its metadata.
fn sentiment_with_note(key: &str) -> Value {
    let mut body = sentiment("fine");
    body["metadata"] = json!({ "note": key });
    body
}

#[test]
fn fifty_concurrent_requests_create_one_task() {
    let (api, cloud, key) = (Api::new(), Cloud::new(), fresh_key());
    let body = sentiment_with_note(&key);
    let ids: BTreeSet<_> = thread::scope(|scope| {
        let send = || {
            let reply = api.post_keyed(&key, &body, NO_FAULT);
            assert_eq!(reply.status, 202, "{reply:?}");
            reply.text("id").to_owned()
        };
        let sent: Vec<_> = (0..50).map(|_| scope.spawn(send)).collect();
        let ids = sent
            .into_iter()
            .map(|id| id.join().expect("the request is accepted"));
        ids.collect()
    });
    assert_eq!(ids.len(), 1, "{ids:?}");
    for id in &ids {
        api.completed(id, 1);
    }
    assert_eq!(
        cloud.items_with_metadata("note", &key).len(),
        1,
        "the table contains no other task of the key"
    );
}

#[test]
fn a_repeat_returns_the_first_task_whatever_the_order_of_fields() {
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
fn an_invalid_key_is_refused() {
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

#[test]
fn a_request_that_was_cut_off_anywhere_is_completed_by_a_repeat() {
    let (api, cloud) = clients();
    for (fault, puts) in [
        // A request with a key puts two items: the key's record, then the task. The number is that of tasks.
        ("PutItem=before", 0),
        ("SendMessage=abort", 1),
        ("SendMessage=before", 1),
        ("SendMessage=after", 1),
        ("PutItem=after", 0),
    ] {
        let key = fresh_key();
        let cut_off = api.post_keyed(&key, &sentiment_with_note(&key), fault);
        assert!(cut_off.status >= 500, "{fault}: {cut_off:?}");
        assert_eq!(cloud.items_with_metadata("note", &key).len(), puts, "{fault}");

        let id = eventually("the request is accepted", || {
            let reply = api.post_keyed(&key, &sentiment_with_note(&key), NO_FAULT);
            (reply.status == 202).then(|| reply.text("id").to_owned())
        });
        api.result(&id);
        assert_eq!(cloud.items_with_metadata("note", &key).len(), 1, "{fault}");
    }
}

#[test]
fn a_call_that_the_aws_client_retries_creates_no_second_task() {
    let (api, cloud) = clients();
    for faults in [
        // Calls that take too long.
        "PutItem=delay,SendMessage=delay",
        // Lost responses, once to each write and to the message: the second PutItem is the first one's repeat.
        "PutItem=resend#1,PutItem=resend#3,SendMessage=resend#1",
    ] {
        let key = fresh_key();
        let reply = api.post_keyed(&key, &sentiment_with_note(&key), faults);
        assert_eq!(reply.status, 202, "{faults}: {reply:?}");
        api.result(reply.text("id"));
        assert_eq!(cloud.items_with_metadata("note", &key).len(), 1, "{faults}");
    }
}

#[test]
fn a_key_expires_after_a_day() {
    let (api, cloud, key) = (Api::new(), Cloud::new(), fresh_key());
    let first = api.post_keyed(&key, &sentiment("fine"), NO_FAULT);
    cloud.age_key(&key, jiff::SignedDuration::from_hours(25));
    let second = api.post_keyed(&key, &sentiment("quite fine"), NO_FAULT);
    assert_eq!(second.status, 202, "{second:?}");
    assert_ne!(first.text("id"), second.text("id"));
}

#[test]
fn a_request_uses_its_key_once_its_upload_was_looked_up() {
    let (api, key) = (Api::new(), fresh_key());
    let missing =
        json!({ "type": "sentiment", "input": { "upload": "01a22e18-6a90-7512-8bd6-c8a5e785684d" } });
    let blank = json!({ "type": "sentiment", "input": { "text": " " } });
    for (body, status) in [
        (&blank, 422),
        (&missing, 422),
        (&missing, 422),
        (&sentiment("fine"), 422),
    ] {
        assert_eq!(api.post_keyed(&key, body, NO_FAULT).status, status, "{body}");
    }
    let reused = api.post_keyed(&key, &sentiment("fine"), NO_FAULT);
    assert_eq!(reused.text("type"), "urn:ai-mesh:problem:idempotency-key-reused");
    let accepted = api.post_keyed(&fresh_key(), &sentiment("fine"), NO_FAULT);
    assert_eq!(accepted.status, 202, "{accepted:?}");
}

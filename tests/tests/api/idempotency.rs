//! A request that is repeated under its key creates no second task, wherever the first one was cut off.

use std::collections::BTreeSet;
use std::thread;

use mesh_tests::{Api, fresh_key, sentiment};
use serde_json::{Value, json};

/// A submission whose task can be found by its metadata.
fn sentiment_with_note(key: &str) -> Value {
    let mut body = sentiment("fine");
    body["metadata"] = json!({ "note": key });
    body
}

#[test]
fn fifty_concurrent_requests_create_one_task() {
    let (api, key) = (Api::new(), fresh_key());
    let body = sentiment_with_note(&key);
    let ids: BTreeSet<_> = thread::scope(|scope| {
        let send = || {
            let reply = api.post_keyed(&key, &body);
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
        api.ids_with_metadata("note", &key),
        ids,
        "the key has no other task"
    );
}

#[test]
fn a_repeat_returns_the_first_task_whatever_the_order_of_fields() {
    let (api, key) = (Api::new(), fresh_key());
    let first = api.post_keyed(&key, &sentiment("fine"));
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
    let first = api.post_keyed(&key, &sentiment("fine"));
    api.post_keyed(&key, &sentiment("fine!"))
        .problem(422, "idempotency-key-reused");
    api.result(first.text("id"));
}

#[test]
fn an_invalid_key_is_refused() {
    let api = Api::new();
    for key in ["", "é", &"k".repeat(256)] {
        api.post_keyed(key, &sentiment("fine"))
            .problem(400, "invalid-idempotency-key");
    }
    let longest = format!("{:k<255}", fresh_key());
    assert_eq!(api.post_keyed(&longest, &sentiment("fine")).status, 202);
}

#[test]
fn a_refused_request_leaves_its_key_free() {
    let (api, key) = (Api::new(), fresh_key());
    api.post_keyed(&key, &sentiment("")).problem(422, "invalid-input");
    assert_eq!(api.post_keyed(&key, &sentiment("fine")).status, 202);
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
        assert_eq!(api.post_keyed(&key, body).status, status, "{body}");
    }
    let reused = api.post_keyed(&key, &sentiment("fine"));
    assert_eq!(reused.text("type"), "urn:ai-mesh:problem:idempotency-key-reused");
    let accepted = api.post_keyed(&fresh_key(), &sentiment("fine"));
    assert_eq!(accepted.status, 202, "{accepted:?}");
}

//! Requests with a key that were cut off between two calls to AWS, or whose calls were repeated.

use mesh_tests::{Api, Cloud, clients, eventually, fresh_key, sentiment};
use serde_json::{Value, json};

/// A submission whose task can be found by its metadata.
fn sentiment_with_note(key: &str) -> Value {
    let mut body = sentiment("fine");
    body["metadata"] = json!({ "note": key });
    body
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
        let cut_off = api.post_keyed_with_faults(&key, &sentiment_with_note(&key), fault);
        assert!(cut_off.status >= 500, "{fault}: {cut_off:?}");
        assert_eq!(cloud.items_with_metadata("note", &key).len(), puts, "{fault}");

        let id = eventually("the request is accepted", || {
            let reply = api.post_keyed(&key, &sentiment_with_note(&key));
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
        let reply = api.post_keyed_with_faults(&key, &sentiment_with_note(&key), faults);
        assert_eq!(reply.status, 202, "{faults}: {reply:?}");
        api.result(reply.text("id"));
        assert_eq!(cloud.items_with_metadata("note", &key).len(), 1, "{faults}");
    }
}

#[test]
fn a_key_expires_after_a_day() {
    let (api, cloud, key) = (Api::of_cloud(), Cloud::new(), fresh_key());
    let first = api.post_keyed(&key, &sentiment("fine"));
    cloud.age_key(&key, jiff::SignedDuration::from_hours(25));
    let second = api.post_keyed(&key, &sentiment("quite fine"));
    assert_eq!(second.status, 202, "{second:?}");
    assert_ne!(first.text("id"), second.text("id"));
}

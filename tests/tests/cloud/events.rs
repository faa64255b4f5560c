//! Server-sent events as the event-stream function sends them.

use std::time::Duration;

use mesh_tests::event_stream::{changes, statuses};
use mesh_tests::{Api, Reply, StreamRequest, StreamResponse, clients, eventually, setting};
use serde_json::json;

/// A request for a stream, with the token.
fn stream_request(api: &Api, path: &str, more: &[(&str, &str)]) -> StreamRequest {
    let token = [("x-service-token", api.token())];
    StreamRequest::get(path, &[&token, more].concat())
}

fn follow(api: &Api, path: &str, more: &[(&str, &str)]) -> StreamResponse {
    stream_request(api, path, more).start()
}

/// The cursor of the newest change.
fn newest_cursor(api: &Api) -> String {
    api.get("/v1/changes").text("next").to_owned()
}

/// A GET request to the stack's own URL of the streams. The local cloud buffers its response.
fn get_events(api: &Api, path: &str, headers: &[(&str, &str)]) -> Reply {
    api.at(&setting("AI_MESH_CLOUD_EVENTS_URL"))
        .send("GET", &format!("/v1/{path}"), headers, None)
}

#[test]
fn an_idle_stream_sends_heartbeats_and_ends_in_time_without_an_error() {
    let api = Api::of_cloud();
    let id = api.submit_text("fine", &[("fault", "busy:600")]);
    let stream = StreamRequest {
        timeout: Duration::from_secs(40),
        ..stream_request(&api, &format!("/v1/tasks/{id}/events"), &[])
    };
    let text = stream.start().read_to_end();
    api.cancel(&id);
    assert!(
        text.contains("\n\n:\n\n"),
        "the stream has a comment as a heartbeat: {text:?}"
    );
    assert!(
        !statuses(&text, &id).contains(&"cancelled".to_owned()),
        "the stream ended before the cancellation: {text}"
    );
}

#[test]
fn a_stream_is_read_only_by_get_and_from_any_origin() {
    let api = Api::of_cloud();
    let events = api.at(&setting("AI_MESH_CLOUD_EVENTS_URL"));
    let token = [("x-service-token", api.token())];
    for method in ["POST", "PUT", "DELETE"] {
        let refused = events.send(method, "/v1/events", &token, None);
        refused.problem(405, "method-not-allowed");
        assert_eq!(refused.header("allow"), "GET,HEAD", "{refused:?}");
    }
    let preflight = [
        ("origin", "https://elsewhere.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "last-event-id,x-service-token"),
    ];
    let allowed = events.send("OPTIONS", "/v1/events", &preflight, None);
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-methods")),
        (200, "GET"),
        "{allowed:?}"
    );
    for header in ["x-service-token", "last-event-id"] {
        assert!(
            allowed.header("access-control-allow-headers").contains(header),
            "{allowed:?}"
        );
    }
    // The stream of a final task ends at once, so the local cloud, which buffers it, can answer.
    let id = api.submit_text("fine", &[]);
    api.result(&id);
    let from_elsewhere = [token[0], ("origin", "https://elsewhere.example")];
    let over = get_events(&api, &format!("tasks/{id}/events"), &from_elsewhere);
    assert_eq!(over.status, 200, "{over:?}");
    assert_eq!(over.header("access-control-allow-origin"), "*");
    // A HEAD request has the headers of a stream, and ends at once.
    let mut head = StreamRequest {
        method: "HEAD".to_owned(),
        ..stream_request(&api, "/v1/events", &[])
    }
    .start();
    assert_eq!(head.read_to_end(), "");
    assert_eq!(head.head["headers"]["content-type"], json!("text/event-stream"));
    assert_eq!(head.head["headers"]["cache-control"], json!("no-store"));
}

#[test]
fn thousands_of_missed_changes_are_sent_once_and_in_order() {
    let (api, cloud) = clients();
    let id = api.submit_text("fine", &[]);
    api.result(&id);
    let before = newest_cursor(&api);
    // More than twice as many as are read at a time.
    let copies = cloud.copy(&id, 1_200);
    let is_complete = |text: &str| copies.iter().all(|copy| text.contains(copy.as_str()));
    let mut stream = follow(&api, "/v1/events", &[("last-event-id", &before)]);
    let text = stream.read_until(is_complete).to_owned();
    drop(stream);
    cloud.delete_tasks(&copies);
    let cursors: Vec<u64> = changes(&text)
        .iter()
        .map(|(cursor, _)| cursor.parse().expect("a number"))
        .collect();
    let first: u64 = before.parse().expect("a cursor is a number");
    let expected: Vec<u64> = (first + 1..).take(cursors.len()).collect();
    assert_eq!(cursors, expected);
}

#[test]
fn a_stream_that_cannot_read_its_table_ends_cleanly_and_the_next_misses_nothing() {
    let api = Api::of_cloud();
    let mut last = newest_cursor(&api);
    let first: u64 = last.parse().expect("a cursor is a number");
    let id = api.submit_text("fine", &[]);
    let (mut cursors, mut cut, mut refused) = (Vec::new(), 0, 0);
    eventually(
        "streams have been cut, another was refused, and the task's end arrived",
        || {
            let mut stream = StreamRequest {
                environment: vec![
                    ("AI_MESH_FAULTS", "on".to_owned()),
                    ("AI_MESH_CALL_FAULTS", "GetItem=before:0.3".to_owned()),
                ],
                ..stream_request(&api, "/v1/events", &[("last-event-id", &last)])
            }
            .start();
            let text = stream.read_to_end();
            match stream.head["statusCode"].as_u64() {
                Some(200) => cut += 1,
                status => {
                    assert_eq!(status, Some(503), "{text}");
                    assert_eq!(stream.head["headers"]["retry-after"], json!("5"));
                    refused += 1;
                }
            }
            for (cursor, change) in changes(&text) {
                cursors.push((cursor.parse::<u64>().expect("a number"), change));
                last = cursor;
            }
            let ends = cursors
                .iter()
                .filter(|(_, change)| change["id"] == *id && change["status"] == "completed");
            (ends.count() == 1 && cut > 1 && refused > 0).then_some(())
        },
    );
    let numbers: Vec<u64> = cursors.into_iter().map(|(number, _)| number).collect();
    let expected: Vec<u64> = (first + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "no change is missing, and none is sent twice");
}

#[test]
fn a_host_that_disconnects_ends_the_function_at_once() {
    let api = Api::of_cloud();
    let mut stream = follow(&api, "/v1/events", &[]);
    stream.read_until(|text| text.contains("retry: 2000"));
    assert!(!stream.disconnect().success());
}

#[test]
fn another_tenant_s_changes_are_not_sent() {
    let (api, cloud) = clients();
    let id = api.submit_text("fine", &[]);
    api.result(&id);
    let mut stream = follow(&api, "/v1/events", &[("last-event-id", &newest_cursor(&api))]);
    stream.read_until(|text| text.contains("retry: 2000"));
    let foreign = cloud.copy_to("other", &id);
    let token = [("x-service-token", api.token())];
    get_events(&api, &format!("tasks/{foreign}/events"), &token).problem(404, "task-not-found");
    // A later change of the tenant's own arrives, so the other's would have arrived too.
    let own = cloud.copy(&id, 1);
    let text = stream.read_until(|text| !statuses(text, &own[0]).is_empty());
    assert!(!text.contains(&foreign), "{text}");
    cloud.delete_tasks(&own);
}

//! Server-sent events: a stream has each change as it happens, and continues after a cut.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mesh_tests::{Api, Reply, StreamRequest, StreamResponse, clients, eventually, setting};
use serde_json::{Value, json};

/// The changes in a stream's text, each with the id of its event.
fn changes(text: &str) -> Vec<(String, Value)> {
    let events = text
        .split("\n\n")
        .filter(|event| event.contains("event: change\n"));
    let each = events.map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ").expect("an event has data");
        let id = field("id: ").expect("an event has an id");
        (
            id.to_owned(),
            serde_json::from_str(data).expect("the data is JSON"),
        )
    });
    each.collect()
}

/// The statuses of a task in a stream's text, in order.
fn statuses(text: &str, id: &str) -> Vec<String> {
    let of_task = changes(text)
        .into_iter()
        .filter(|(_, change)| change["id"] == *id);
    of_task
        .map(|(_, change)| change["status"].as_str().unwrap_or_default().to_owned())
        .collect()
}

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
    api.at(&setting("EVENTS_URL"))
        .send("GET", &format!("/v1/{path}"), headers, None)
}

#[test]
fn changes_arrive_while_the_stream_is_open_and_continue_after_a_cut() {
    let api = Api::new();
    let mut stream = follow(&api, "/v1/events", &[]);
    stream.read_until(|text| text.contains("retry: 2000"));
    assert_eq!(stream.head["statusCode"], json!(200), "{}", stream.head);
    assert_eq!(stream.head["headers"]["content-type"], json!("text/event-stream"));
    let id = api.submit_text("fine", &[]);
    let text = stream.read_until(|text| !statuses(text, &id).is_empty());
    let first = changes(text).into_iter().find(|(_, change)| change["id"] == *id);
    let (number, pending) = first.expect("the task's first change is in the stream");
    assert_eq!(
        (&pending["status"], &pending["previous_status"], &pending["type"]),
        (&json!("pending"), &json!(null), &json!("sentiment"))
    );
    assert_eq!(pending["cursor"], json!(number));
    stream.read_until(|text| statuses(text, &id) == ["pending", "processing", "completed"]);
    drop(stream);

    let mut again = follow(&api, "/v1/events", &[("last-event-id", &number)]);
    again.read_until(|text| statuses(text, &id) == ["processing", "completed"]);
    let query = format!("/v1/events?after={number}");
    follow(&api, &query, &[]).read_until(|text| statuses(text, &id) == ["processing", "completed"]);
}

#[test]
fn a_task_s_stream_begins_with_its_current_state_and_ends_with_its_final_state() {
    let api = Api::new();
    let id = api.submit_text("fine", &[("fault", "busy:600")]);
    let path = format!("/v1/tasks/{id}/events");
    let mut stream = follow(&api, &path, &[]);
    // Pending, already processing, or pending again after it was throttled.
    stream.read_until(|text| !statuses(text, &id).is_empty());
    let other = api.submit_text("fine", &[]);
    api.result(&other);
    api.cancel(&id);
    let text = stream.read_to_end();
    assert_eq!(
        statuses(&text, &id).last().map(String::as_str),
        Some("cancelled"),
        "{text}"
    );
    assert_eq!(
        statuses(&text, &other),
        [""; 0],
        "the stream has no changes of another task"
    );
    let over = follow(&api, &path, &[]).read_to_end();
    assert_eq!(statuses(&over, &id), ["cancelled"], "{over}");
}

#[test]
fn an_idle_stream_sends_heartbeats_and_ends_in_time_without_an_error() {
    let api = Api::new();
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
fn a_client_without_a_token_or_too_far_behind_is_refused_before_the_stream_begins() {
    let api = Api::new();
    let token = [("x-service-token", api.token())];
    for headers in [
        &[][..],
        &[("x-service-token", "wrong")],
        &[("authorization", "Basic dTpw")],
    ] {
        let refused = get_events(&api, "events", headers);
        refused.problem(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), "Bearer", "{refused:?}");
    }
    get_events(&api, &format!("events?token={}", api.token()), &token).problem(400, "invalid-query");
    get_events(&api, "events?after=x", &token).problem(400, "invalid-query");
    get_events(&api, "events?after=999999999999", &token).problem(410, "changes-gone");
    for (id, status, slug) in [
        ("18446744073709551615", 410, "changes-gone"),
        ("18446744073709551616", 400, "invalid-query"),
        ("-1", 400, "invalid-query"),
        ("7, 8", 400, "invalid-query"),
        ("019a0000-0000-7000-8000-000000000000", 400, "invalid-query"),
    ] {
        let last = [token[0], ("last-event-id", id)];
        get_events(&api, "events", &last).problem(status, slug);
    }
    let unknown = "tasks/019a0000-0000-7000-8000-000000000000/events";
    get_events(&api, unknown, &token).problem(404, "task-not-found");
    get_events(&api, "tasks/7/events", &token).problem(404, "task-not-found");
    get_events(&api, "elsewhere", &token).problem(404, "route-not-found");
}

#[test]
fn a_submission_and_the_change_log_link_to_the_streams() {
    let api = Api::new();
    let reply = api.post(&mesh_tests::sentiment("fine"));
    let id = reply.text("id");
    api.result(id);
    let events = setting("EVENTS_URL");
    let address = format!("{events}v1/tasks/{id}/events");
    assert_eq!(reply.body["links"]["events"], json!(address));
    let changes = api.get("/v1/changes");
    assert_eq!(
        changes.body["links"]["events"],
        json!(format!("{events}v1/events"))
    );
    // The stream of a final task ends at once, so the local cloud, which buffers it, can answer.
    let token = [
        ("x-service-token", api.token()),
        ("origin", "https://elsewhere.example"),
    ];
    let over = get_events(&api, &format!("tasks/{id}/events"), &token);
    assert_eq!(over.status, 200, "{over:?}");
    assert_eq!(over.header("access-control-allow-origin"), "*");
}

#[test]
fn a_stream_is_read_only_by_get_and_from_any_origin() {
    let api = Api::new();
    let events = api.at(&setting("EVENTS_URL"));
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
fn a_task_s_stream_sends_no_changes_from_before_it_began() {
    let api = Api::new();
    eventually("a stream begins while its task is not final", || {
        let id = api.submit_text("fine", &[("fault", "busy:600")]);
        let mut stream = follow(&api, &format!("/v1/tasks/{id}/events"), &[]);
        // The task ends many times. The change log lags behind the table, so it contains the last ends late.
        let has_begun = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..500 {
                    api.cancel(&id);
                    api.retry(&id);
                    if has_begun.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            stream.read_until(|text| !changes(text).is_empty());
            has_begun.store(true, Ordering::Relaxed);
        });
        api.cancel(&id);
        let text = stream.read_to_end();
        let changes = changes(&text);
        let generations: Vec<_> = changes
            .iter()
            .map(|(_, change)| change["generation"].as_u64())
            .collect();
        assert!(
            generations.iter().all(|generation| *generation >= generations[0]),
            "{text}"
        );
        assert_eq!(
            statuses(&text, &id).last().map(String::as_str),
            Some("cancelled"),
            "{text}"
        );
        (changes[0].1["status"] != "cancelled").then_some(())
    });
}

#[test]
fn a_stream_that_cannot_read_its_table_ends_cleanly_and_the_next_misses_nothing() {
    let api = Api::new();
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
    let api = Api::new();
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

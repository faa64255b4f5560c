//! Server-sent events: a stream has each change as it happens, and continues after a cut.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mesh_tests::event_stream::{EventStream, changes, statuses};
use mesh_tests::{Api, Reply, eventually, setting};
use serde_json::json;

/// A GET request to the address of the streams, of which the response is short.
fn get_events(api: &Api, path: &str, headers: &[(&str, &str)]) -> Reply {
    api.at(&setting("EVENTS_URL"))
        .send("GET", &format!("/v1/{path}"), headers, None)
}

#[test]
fn changes_arrive_while_the_stream_is_open_and_continue_after_a_cut() {
    let api = Api::new();
    let mut stream = EventStream::open(&api, "/v1/events", &[]);
    stream.read_until(|text| text.contains("retry: 2000"));
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

    let mut again = EventStream::open(&api, "/v1/events", &[("last-event-id", &number)]);
    again.read_until(|text| statuses(text, &id) == ["processing", "completed"]);
    let query = format!("/v1/events?after={number}");
    EventStream::open(&api, &query, &[])
        .read_until(|text| statuses(text, &id) == ["processing", "completed"]);
}

#[test]
fn a_task_s_stream_begins_with_its_current_state_and_ends_with_its_final_state() {
    let api = Api::new();
    let id = api.submit_text("fine", &[("fault", "busy:600")]);
    let path = format!("/v1/tasks/{id}/events");
    let mut stream = EventStream::open(&api, &path, &[]);
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
    let over = EventStream::open(&api, &path, &[]).read_to_end();
    assert_eq!(statuses(&over, &id), ["cancelled"], "{over}");
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
    // The stream of a final task ends at once, so that a home which buffers it can answer.
    let token = [("x-service-token", api.token())];
    let over = get_events(&api, &format!("tasks/{id}/events"), &token);
    assert_eq!(over.status, 200, "{over:?}");
}

#[test]
fn a_task_s_stream_sends_no_changes_from_before_it_began() {
    let api = Api::new();
    eventually("a stream begins while its task is not final", || {
        let id = api.submit_text("fine", &[("fault", "busy:600")]);
        let mut stream = EventStream::open(&api, &format!("/v1/tasks/{id}/events"), &[]);
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

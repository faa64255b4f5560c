//! What is promised of server-sent events: each change as it happens, and after a cut on from there.

use std::time::Duration;

use mesh_tests::{Api, Reply, Streamed, setting};
use serde_json::{Value, json};

/// More than any test takes.
const LONG: Duration = Duration::from_secs(600);

/// The data of the events in a stream's text, each with its id.
fn told(text: &str) -> Vec<(String, Value)> {
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

/// What a text tells of a task so far.
fn statuses(text: &str, id: &str) -> Vec<String> {
    let of = told(text).into_iter().filter(|(_, change)| change["id"] == *id);
    of.map(|(_, change)| change["status"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn follow(api: &Api, path: &str, more: &[(&str, &str)]) -> Streamed {
    let token = [("x-service-token", api.token())];
    Streamed::get(path, &[&token, more].concat(), LONG)
}

/// By the address that the stack itself gives, which its local cloud answers in one piece.
fn ask(api: &Api, path: &str, headers: &[(&str, &str)]) -> Reply {
    api.at(&setting("EVENTS_URL"))
        .send("GET", &format!("/v1/{path}"), headers, None)
}

#[test]
fn changes_come_while_the_stream_is_open_and_go_on_after_a_cut() {
    let api = Api::new();
    let mut stream = follow(&api, "/v1/events", &[]);
    stream.until(|text| text.contains("retry: 2000"));
    assert_eq!(stream.head["statusCode"], json!(200), "{}", stream.head);
    assert_eq!(stream.head["headers"]["content-type"], json!("text/event-stream"));
    let id = api.submit_text("fine", &[]);
    let text = stream.until(|text| !statuses(text, &id).is_empty());
    let first = told(text).into_iter().find(|(_, change)| change["id"] == *id);
    let (number, pending) = first.expect("its first change is told");
    assert_eq!(
        (&pending["status"], &pending["previous_status"], &pending["type"]),
        (&json!("pending"), &json!(null), &json!("sentiment"))
    );
    assert_eq!(pending["cursor"], json!(number));
    stream.until(|text| statuses(text, &id) == ["pending", "processing", "completed"]);
    drop(stream);

    let mut again = follow(&api, "/v1/events", &[("last-event-id", &number)]);
    again.until(|text| statuses(text, &id) == ["processing", "completed"]);
    let query = format!("/v1/events?after={number}");
    follow(&api, &query, &[]).until(|text| statuses(text, &id) == ["processing", "completed"]);
}

#[test]
fn a_task_s_stream_begins_where_it_stands_and_ends_with_it() {
    let api = Api::new();
    let id = api.submit_text("fine", &[("fault", "busy:600")]);
    let path = format!("/v1/tasks/{id}/events");
    let mut stream = follow(&api, &path, &[]);
    stream.until(|text| statuses(text, &id).contains(&"processing".to_owned()));
    let other = api.submit_text("fine", &[]);
    api.result(&other);
    api.cancel(&id);
    let text = stream.end();
    assert_eq!(
        statuses(&text, &id).last().map(String::as_str),
        Some("cancelled"),
        "{text}"
    );
    assert_eq!(
        statuses(&text, &other),
        [""; 0],
        "of another task nothing is told"
    );
    let over = follow(&api, &path, &[]).end();
    assert_eq!(statuses(&over, &id), ["cancelled"], "{over}");
}

#[test]
fn a_quiet_stream_beats_and_ends_in_time_without_an_error() {
    let api = Api::new();
    let id = api.submit_text("fine", &[("fault", "busy:600")]);
    let token = [("x-service-token", api.token())];
    let path = format!("/v1/tasks/{id}/events");
    let stream = Streamed::get(&path, &token, Duration::from_secs(22));
    let text = stream.end();
    api.cancel(&id);
    assert!(
        text.contains("\n\n:\n\n"),
        "a comment tells that it lives: {text:?}"
    );
    assert!(
        !statuses(&text, &id).contains(&"cancelled".to_owned()),
        "it ended before: {text}"
    );
}

#[test]
fn a_client_without_its_token_or_too_far_behind_is_told_so_before_the_stream_begins() {
    let api = Api::new();
    let token = [("x-service-token", api.token())];
    ask(&api, "events", &[]).problem(401, "unauthorized");
    ask(&api, "events", &[("x-service-token", "wrong")]).problem(401, "unauthorized");
    ask(&api, &format!("events?token={}", api.token()), &token).problem(400, "invalid-query");
    ask(&api, "events?after=x", &token).problem(400, "invalid-query");
    ask(&api, "events?after=999999999999", &token).problem(410, "changes-gone");
    let unknown = "tasks/019a0000-0000-7000-8000-000000000000/events";
    ask(&api, unknown, &token).problem(404, "task-not-found");
    ask(&api, "tasks/7/events", &token).problem(404, "task-not-found");
    ask(&api, "elsewhere", &token).problem(404, "not-found");
}

#[test]
fn a_submission_and_the_change_log_name_the_streams() {
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
    // Of a task that is final the answer ends at once, so that even a cloud that gathers it first gives it.
    let token = [
        ("x-service-token", api.token()),
        ("origin", "https://elsewhere.example"),
    ];
    let over = ask(&api, &format!("tasks/{id}/events"), &token);
    assert_eq!(over.status, 200, "{over:?}");
    assert_eq!(over.header("access-control-allow-origin"), "*");
}

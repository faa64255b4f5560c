//! What is promised of server-sent events: each change as it happens, and after a cut on from there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mesh_tests::{Api, Cloud, Reply, Streamed, Streaming, eventually, setting};
use serde_json::{Value, json};

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

/// A stream that the owner of the token asks for.
fn asked(api: &Api, path: &str, more: &[(&str, &str)]) -> Streaming {
    let token = [("x-service-token", api.token())];
    Streaming::get(path, &[&token, more].concat())
}

fn follow(api: &Api, path: &str, more: &[(&str, &str)]) -> Streamed {
    asked(api, path, more).start()
}

/// The cursor of the present.
fn present(api: &Api) -> String {
    api.get("/v1/changes").text("next").to_owned()
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
    // Pending, or already processing, or turned away and pending again.
    stream.until(|text| !statuses(text, &id).is_empty());
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
    let stream = Streaming {
        time: Duration::from_secs(40),
        ..asked(&api, &format!("/v1/tasks/{id}/events"), &[])
    };
    let text = stream.start().end();
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
    for headers in [
        &[][..],
        &[("x-service-token", "wrong")],
        &[("authorization", "Basic dTpw")],
    ] {
        let refused = ask(&api, "events", headers);
        refused.problem(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), "Bearer", "{refused:?}");
    }
    ask(&api, &format!("events?token={}", api.token()), &token).problem(400, "invalid-query");
    ask(&api, "events?after=x", &token).problem(400, "invalid-query");
    ask(&api, "events?after=999999999999", &token).problem(410, "changes-gone");
    for (id, status, slug) in [
        ("18446744073709551615", 410, "changes-gone"),
        ("18446744073709551616", 400, "invalid-query"),
        ("-1", 400, "invalid-query"),
        ("7, 8", 400, "invalid-query"),
        ("019a0000-0000-7000-8000-000000000000", 400, "invalid-query"),
    ] {
        let last = [token[0], ("last-event-id", id)];
        ask(&api, "events", &last).problem(status, slug);
    }
    let unknown = "tasks/019a0000-0000-7000-8000-000000000000/events";
    ask(&api, unknown, &token).problem(404, "task-not-found");
    ask(&api, "tasks/7/events", &token).problem(404, "task-not-found");
    ask(&api, "elsewhere", &token).problem(404, "route-not-found");
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

#[test]
fn a_stream_is_read_by_get_alone_from_any_origin() {
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
    // It says what a stream would be, and occupies nothing.
    let mut head = Streaming {
        method: "HEAD".to_owned(),
        ..asked(&api, "/v1/events", &[])
    }
    .start();
    assert_eq!(head.end(), "");
    assert_eq!(head.head["headers"]["content-type"], json!("text/event-stream"));
    assert_eq!(head.head["headers"]["cache-control"], json!("no-store"));
}

#[test]
fn of_thousands_of_changes_in_between_each_is_told_once_and_in_order() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = api.submit_text("fine", &[]);
    api.result(&id);
    let before = present(&api);
    // More than are read at a time, twice over.
    let copies = cloud.copy(&id, 1_200);
    let is_told = |text: &str| copies.iter().all(|copy| text.contains(copy.as_str()));
    let mut stream = follow(&api, "/v1/events", &[("last-event-id", &before)]);
    let text = stream.until(is_told).to_owned();
    drop(stream);
    cloud.forget(&copies);
    let cursors: Vec<u64> = told(&text)
        .iter()
        .map(|(cursor, _)| cursor.parse().expect("a number"))
        .collect();
    let first: u64 = before.parse().expect("a cursor is a number");
    let expected: Vec<u64> = (first + 1..).take(cursors.len()).collect();
    assert_eq!(cursors, expected);
}

#[test]
fn a_task_s_stream_tells_nothing_of_the_time_before_it_began() {
    let api = Api::new();
    eventually("a stream begins while its task is not final", || {
        let id = api.submit_text("fine", &[("fault", "busy:600")]);
        let mut stream = follow(&api, &format!("/v1/tasks/{id}/events"), &[]);
        // One end after the other: the log lags behind the table, and tells the last of them late.
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
            stream.until(|text| !told(text).is_empty());
            has_begun.store(true, Ordering::Relaxed);
        });
        api.cancel(&id);
        let text = stream.end();
        let told = told(&text);
        let generations: Vec<_> = told
            .iter()
            .map(|(_, change)| change["generation"].as_u64())
            .collect();
        assert!(generations.iter().all(|told| *told >= generations[0]), "{text}");
        assert_eq!(
            statuses(&text, &id).last().map(String::as_str),
            Some("cancelled"),
            "{text}"
        );
        (told[0].1["status"] != "cancelled").then_some(())
    });
}

#[test]
fn a_stream_that_loses_its_table_ends_in_order_and_the_next_misses_nothing() {
    let api = Api::new();
    let mut last = present(&api);
    let first: u64 = last.parse().expect("a cursor is a number");
    let id = api.submit_text("fine", &[]);
    let (mut cursors, mut cut, mut refused) = (Vec::new(), 0, 0);
    eventually(
        "a stream has been cut off, another refused, and all is told",
        || {
            let mut stream = Streaming {
                environment: vec![
                    ("AI_MESH_FAULTS", "on".to_owned()),
                    ("AI_MESH_CALL_FAULTS", "GetItem=before:0.3".to_owned()),
                ],
                ..asked(&api, "/v1/events", &[("last-event-id", &last)])
            }
            .start();
            let text = stream.end();
            match stream.head["statusCode"].as_u64() {
                Some(200) => cut += 1,
                status => {
                    assert_eq!(status, Some(503), "{text}");
                    assert_eq!(stream.head["headers"]["retry-after"], json!("5"));
                    refused += 1;
                }
            }
            for (cursor, change) in told(&text) {
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
    assert_eq!(numbers, expected, "none is missing, none is told twice");
}

#[test]
fn a_host_that_hangs_up_ends_the_function_at_once() {
    let api = Api::new();
    let mut stream = follow(&api, "/v1/events", &[]);
    stream.until(|text| text.contains("retry: 2000"));
    assert!(!stream.hang_up().success());
}

#[test]
fn of_another_tenant_s_tasks_nothing_is_told() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let id = api.submit_text("fine", &[]);
    api.result(&id);
    let mut stream = follow(&api, "/v1/events", &[("last-event-id", &present(&api))]);
    stream.until(|text| text.contains("retry: 2000"));
    let foreign = cloud.copy_to("other", &id);
    let token = [("x-service-token", api.token())];
    ask(&api, &format!("tasks/{foreign}/events"), &token).problem(404, "task-not-found");
    // A later change of one's own has come, and the other's has not.
    let own = cloud.copy(&id, 1);
    let text = stream.until(|text| !statuses(text, &own[0]).is_empty());
    assert!(!text.contains(&foreign), "{text}");
    cloud.forget(&own);
}

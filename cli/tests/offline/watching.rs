//! `mesh watch`: it continues after errors, limits its requests, and restores the terminal.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::terminal::Terminal;
use crate::world::{ID, OTHER, World, ago, eventually, problem, task};

const CTRL_C: u8 = 3;

/// How to end a watch.
enum End {
    Key(u8),
    Signal(Signal),
}

/// The cursors and the times of the requests for changes.
type Requests = Arc<Mutex<Vec<(Option<String>, Instant)>>>;

/// Mocks the change log by a function of the request's cursor, and of the number of earlier requests with the same one.
async fn log(
    world: &World,
    respond: impl Fn(Option<&str>, usize) -> ResponseTemplate + Send + Sync + 'static,
) -> Requests {
    let requests = Requests::default();
    let log = Arc::clone(&requests);
    let response = move |request: &Request| {
        let mut log = log.lock().expect("no thread panicked with the lock");
        let after = request.url.query_pairs().find(|(name, _)| name == "after");
        let after = after.map(|(_, cursor)| cursor.into_owned());
        let before = log.iter().filter(|(cursor, _)| *cursor == after).count();
        let response = respond(after.as_deref(), before);
        log.push((after, Instant::now()));
        response
    };
    world.mock("GET", "/v1/changes", response).await;
    requests
}

fn changes(changes: &[Value], next: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "changes": changes, "next": next }))
}

fn change() -> Value {
    json!({ "cursor": "2", "id": ID, "type": "ocr", "status": "completed", "previous_status": "processing",
            "generation": 1, "attempt": 1, "updated_at": ago(0) })
}

#[tokio::test]
async fn a_watch_restores_the_terminal_however_it_ends() {
    let world = World::new().await;
    world
        .get("/v1/changes", json!({ "changes": [], "next": "1" }))
        .await;
    let mut fresh = task(ID, "processing");
    fresh["updated_at"] = json!(ago(3));
    world.get("/v1/tasks", json!({ "tasks": [fresh] })).await;
    for (end, code) in [
        (End::Key(b'q'), 0),
        (End::Key(CTRL_C), 0),
        (End::Signal(Signal::INT), 130),
        (End::Signal(Signal::TERM), 143),
        (End::Signal(Signal::HUP), 129),
    ] {
        let mut terminal = Terminal::open();
        let before = terminal.modes();
        let mut watch = terminal.run(&world, &["watch"], &[]);
        let shown = terminal.until("quits");
        assert!(shown.contains("\x1b[?1049h") && shown.contains(ID), "{shown:?}");
        assert_ne!(terminal.modes(), before, "the terminal is in raw mode");
        match end {
            End::Key(key) => terminal.user.write_all(&[key]).unwrap(),
            End::Signal(signal) => kill_process(Pid::from_child(&watch), signal).unwrap(),
        }
        eventually("it ends", || watch.try_wait().unwrap().is_some()).await;
        let left = terminal.until("\x1b[?1049l");
        assert!(left.contains("\x1b[?25h"), "the cursor is shown again: {left:?}");
        assert_eq!(watch.wait().unwrap().code(), Some(code));
        assert_eq!(terminal.modes(), before);
    }
}

#[tokio::test]
async fn a_watch_on_a_terminal_without_a_cursor_prints_lines() {
    let world = World::new().await;
    log(&world, |_, _| changes(&[change()], "2")).await;
    let mut terminal = Terminal::open();
    let mut watch = terminal.run(&world, &["watch"], &[("TERM", "dumb")]);
    let shown = terminal.until(ID);
    assert!(!shown.contains('\x1b'), "{shown:?}");
    watch.kill().and_then(|()| watch.wait()).unwrap();
}

#[tokio::test]
async fn a_watch_continues_after_a_list_request_that_failed() {
    let world = World::new().await;
    log(&world, |after, before| match (after, before) {
        (None, 0) => changes(&[], "1"),
        (Some("1"), _) => problem(410, "changes-gone", "some changes are missing"),
        // The first call gives up, because there are more of these than it makes attempts.
        (None, 1..5) => problem(503, "unavailable", "no time now").insert_header("retry-after", "0"),
        _ => changes(&[], "2").set_delay(Duration::from_millis(50)),
    })
    .await;
    let list = Mutex::new([ID, OTHER].into_iter());
    let list = move |_: &Request| {
        let id = list.lock().unwrap().next().expect("there are no more requests");
        ResponseTemplate::new(200).set_body_json(json!({ "tasks": [task(id, "processing")] }))
    };
    world.mock("GET", "/v1/tasks", list).await;
    let mut terminal = Terminal::open();
    let mut watch = terminal.run(&world, &["watch"], &[]);
    // The program only sends the cells that changed.
    terminal.until("(unavailable");
    terminal.until(&OTHER[10..13]);
    terminal.user.write_all(b"q").unwrap();
    eventually("it ends", || watch.try_wait().unwrap().is_some()).await;
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_watch_can_be_ended_while_it_reads_the_list_again() {
    let world = World::new().await;
    let requests = log(&world, |after, before| match (after, before) {
        (None, 0) => changes(&[], "1"),
        (Some(_), _) => problem(410, "changes-gone", "some changes are missing"),
        (None, _) => changes(&[], "2").set_delay(Duration::from_secs(300)),
    })
    .await;
    world.get("/v1/tasks", json!({ "tasks": [] })).await;
    let mut terminal = Terminal::open();
    let mut watch = terminal.run(&world, &["watch"], &[]);
    terminal.until("quits");
    eventually("the list is read again", || requests.lock().unwrap().len() == 3).await;
    terminal.user.write_all(&[CTRL_C]).unwrap();
    eventually("it ends", || watch.try_wait().unwrap().is_some()).await;
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_watch_sends_a_few_requests_per_second_to_a_busy_stack() {
    for settings in [&[][..], &[("TERM", "dumb")]] {
        let world = World::new().await;
        let requests = log(&world, |_, _| changes(&[change()], "2")).await;
        world.get("/v1/tasks", json!({ "tasks": [] })).await;
        let terminal = Terminal::open();
        let mut watch = terminal.run(&world, &["watch"], settings);
        eventually("it follows", || requests.lock().unwrap().len() >= 6).await;
        watch.kill().and_then(|()| watch.wait()).unwrap();
        let requests = requests.lock().unwrap();
        // The first request is for the log's end.
        let took = requests[5].1 - requests[1].1;
        assert!(took >= Duration::from_millis(4 * 200), "{took:?}");
    }
}

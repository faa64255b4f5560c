//! `mesh watch`: it outlives what a stack does meanwhile, asks for no more than it needs, and gives the terminal back.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::terminal::Terminal;
use crate::world::{ID, OTHER, World, ago, eventually, problem, task};

const CTRL_C: u8 = 3;

/// How a watch is left.
enum Way {
    Key(u8),
    Signal(Signal),
}

/// What a log was asked after, and when.
type Asked = Arc<Mutex<Vec<(Option<String>, Instant)>>>;

/// A log that answers by what is asked after, and by how often that was asked before.
async fn log(
    world: &World,
    answer: impl Fn(Option<&str>, usize) -> ResponseTemplate + Send + Sync + 'static,
) -> Asked {
    let asked = Asked::default();
    let known = Arc::clone(&asked);
    let answer = move |request: &Request| {
        let mut known = known.lock().expect("nobody panics while it is held");
        let after = request.url.query_pairs().find(|(name, _)| name == "after");
        let after = after.map(|(_, cursor)| cursor.into_owned());
        let before = known.iter().filter(|(asked, _)| *asked == after).count();
        let answer = answer(after.as_deref(), before);
        known.push((after, Instant::now()));
        answer
    };
    world.answer("GET", "/v1/changes", answer).await;
    asked
}

fn changes(changes: &[Value], next: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "changes": changes, "next": next }))
}

fn change() -> Value {
    json!({ "cursor": "2", "id": ID, "type": "ocr", "status": "completed", "previous_status": "processing",
            "generation": 1, "attempt": 1, "updated_at": ago(0) })
}

#[tokio::test]
async fn a_watch_gives_the_terminal_back_however_it_is_left() {
    let world = World::new().await;
    world
        .get("/v1/changes", json!({ "changes": [], "next": "1" }))
        .await;
    let mut fresh = task(ID, "processing");
    fresh["updated_at"] = json!(ago(3));
    world.get("/v1/tasks", json!({ "tasks": [fresh] })).await;
    for (way, code) in [
        (Way::Key(b'q'), 0),
        (Way::Key(CTRL_C), 0),
        (Way::Signal(Signal::INT), 130),
        (Way::Signal(Signal::TERM), 143),
        (Way::Signal(Signal::HUP), 129),
    ] {
        let mut terminal = Terminal::open();
        let before = terminal.modes();
        let mut watch = terminal.run(&world, &["watch"], &[]);
        let shown = terminal.until("quits");
        assert!(shown.contains("\x1b[?1049h") && shown.contains(ID), "{shown:?}");
        assert_ne!(terminal.modes(), before, "keys are read one by one");
        match way {
            Way::Key(key) => terminal.person.write_all(&[key]).unwrap(),
            Way::Signal(signal) => kill_process(Pid::from_child(&watch), signal).unwrap(),
        }
        eventually("it ends", || watch.try_wait().unwrap().is_some()).await;
        let left = terminal.until("\x1b[?1049l");
        assert!(left.contains("\x1b[?25h"), "the cursor is shown again: {left:?}");
        assert_eq!(watch.wait().unwrap().code(), Some(code));
        assert_eq!(terminal.modes(), before);
    }
}

#[tokio::test]
async fn a_terminal_that_can_t_move_its_cursor_has_a_watch_in_lines() {
    let world = World::new().await;
    log(&world, |_, _| changes(&[change()], "2")).await;
    let mut terminal = Terminal::open();
    let mut watch = terminal.run(&world, &["watch"], &[("TERM", "dumb")]);
    let shown = terminal.until(ID);
    assert!(!shown.contains('\x1b'), "{shown:?}");
    watch.kill().and_then(|()| watch.wait()).unwrap();
}

#[tokio::test]
async fn a_watch_outlives_a_list_that_can_t_be_read_again() {
    let world = World::new().await;
    log(&world, |after, before| match (after, before) {
        (None, 0) => changes(&[], "1"),
        (Some("1"), _) => problem(410, "changes-gone", "some are not kept"),
        // The first time it gives up: the stack is asked for more often than one call does.
        (None, 1..5) => problem(503, "unavailable", "no time now").insert_header("retry-after", "0"),
        _ => changes(&[], "2").set_delay(Duration::from_millis(50)),
    })
    .await;
    let list = Mutex::new([ID, OTHER].into_iter());
    let list = move |_: &Request| {
        let id = list.lock().unwrap().next().expect("no more is asked");
        ResponseTemplate::new(200).set_body_json(json!({ "tasks": [task(id, "processing")] }))
    };
    world.answer("GET", "/v1/tasks", list).await;
    let mut terminal = Terminal::open();
    let mut watch = terminal.run(&world, &["watch"], &[]);
    // A terminal is sent what differs alone.
    terminal.until("(unavailable");
    terminal.until(&OTHER[10..13]);
    terminal.person.write_all(b"q").unwrap();
    eventually("it ends", || watch.try_wait().unwrap().is_some()).await;
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_watch_is_left_while_it_reads_the_list_again() {
    let world = World::new().await;
    let asked = log(&world, |after, before| match (after, before) {
        (None, 0) => changes(&[], "1"),
        (Some(_), _) => problem(410, "changes-gone", "some are not kept"),
        (None, _) => changes(&[], "2").set_delay(Duration::from_secs(300)),
    })
    .await;
    world.get("/v1/tasks", json!({ "tasks": [] })).await;
    let mut terminal = Terminal::open();
    let mut watch = terminal.run(&world, &["watch"], &[]);
    terminal.until("quits");
    eventually("the list is read again", || asked.lock().unwrap().len() == 3).await;
    terminal.person.write_all(&[CTRL_C]).unwrap();
    eventually("it ends", || watch.try_wait().unwrap().is_some()).await;
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_stack_where_much_happens_is_asked_a_few_times_a_second() {
    for settings in [&[][..], &[("TERM", "dumb")]] {
        let world = World::new().await;
        let asked = log(&world, |_, _| changes(&[change()], "2")).await;
        world.get("/v1/tasks", json!({ "tasks": [] })).await;
        let terminal = Terminal::open();
        let mut watch = terminal.run(&world, &["watch"], settings);
        eventually("it follows", || asked.lock().unwrap().len() >= 6).await;
        watch.kill().and_then(|()| watch.wait()).unwrap();
        let asked = asked.lock().unwrap();
        // Of six, the first asks for the present.
        let took = asked[5].1 - asked[1].1;
        assert!(took >= Duration::from_millis(4 * 200), "{took:?}");
    }
}

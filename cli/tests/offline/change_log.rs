//! Waits for many tasks at once: the change log says which are final, but no task depends on it.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, Request, ResponseTemplate};

use crate::fake_api::{Api, api, has_results, interrupt, start};
use crate::world::{Ended, World, problem, task};

/// Longer than a test takes.
const ENDLESS: Duration = Duration::from_secs(300);

/// Writes a batch of that many texts, of which the first never become final.
fn texts(world: &World, endless: usize, all: usize) {
    let line = |n: usize| {
        let text = if n < endless {
            "endless".to_owned()
        } else {
            format!("text {n}")
        };
        format!("{}\n", json!({ "type": "sentiment", "input": { "text": text } }))
    };
    world.write("b.jsonl", (0..all).map(line).collect::<String>());
}

/// Mocks the change log by a function of the request's cursor, which is `None` in a request for the log's end.
async fn log(world: &World, respond: impl Fn(Option<&str>) -> ResponseTemplate + Send + Sync + 'static) {
    Mock::given(method("GET"))
        .and(path("/v1/changes"))
        .respond_with(move |request: &Request| {
            let after = request.url.query_pairs().find(|(name, _)| name == "after");
            respond(after.map(|(_, cursor)| cursor.into_owned()).as_deref())
        })
        .mount(&world.server)
        .await;
}

fn changes(changes: &[Value], next: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "changes": changes, "next": next }))
}

/// Changes that say that all tasks are completed, except the endless ones.
fn all_completed(api: &Api) -> Vec<Value> {
    let change = |id: &String| {
        json!({ "cursor": "1", "id": id, "type": "sentiment", "status": "completed", "previous_status": "processing",
                "generation": 1, "attempt": 1, "updated_at": "2026-01-31T12:00:09.25Z" })
    };
    api.state().completed.iter().map(change).collect()
}

#[tokio::test]
async fn slow_lines_do_not_delay_others_and_take_one_long_poll() {
    let world = World::new().await;
    let api = api(&world).await;
    let tasks = api.clone();
    log(&world, move |after| match after {
        Some("0") if tasks.state().texts.len() == 60 => changes(&all_completed(&tasks), "1"),
        None | Some("0") => changes(&[], "0"),
        Some(_) => changes(&[], "1").set_delay(ENDLESS),
    })
    .await;
    texts(&world, 20, 60);
    // The requests are so small that all tasks of the first ones are slow.
    let batch = start(&world, &["--size", "4"]);
    has_results(&world, 40).await;
    let requests = world.server.received_requests().await.unwrap();
    let long_polls = requests.iter().filter(|request| {
        request.url.path().starts_with("/v1/tasks/")
            && request.url.query().is_some_and(|query| query.contains("wait"))
    });
    assert_eq!(long_polls.count(), 1, "only the oldest task has a long poll");
    let message = interrupt(batch);
    assert!(message.contains("40 of 60 lines are finished"), "{message}");
}

#[tokio::test]
async fn an_empty_change_log_loses_no_line() {
    let world = World::new().await;
    api(&world).await;
    log(&world, |_| changes(&[], "0")).await;
    texts(&world, 0, 30);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert!(ended.err.contains("30 lines: 30 completed"), "{}", ended.err);
}

#[tokio::test]
async fn after_a_gap_in_the_change_log_every_open_task_is_requested() {
    let world = World::new().await;
    api(&world).await;
    log(&world, |after| match after {
        None => changes(&[], "0"),
        Some(_) => problem(410, "changes-gone", "some changes are missing"),
    })
    .await;
    texts(&world, 1, 30);
    let batch = start(&world, &[]);
    has_results(&world, 29).await;
    interrupt(batch);
}

#[tokio::test]
async fn without_a_change_log_all_requests_are_long_polls() {
    let world = World::new().await;
    api(&world).await;
    log(&world, |after| match after {
        None => changes(&[], "0"),
        Some(_) => ResponseTemplate::new(404).set_body_string("<html>"),
    })
    .await;
    texts(&world, 7, 30);
    let batch = start(&world, &[]);
    has_results(&world, 23).await;
    interrupt(batch);
}

#[tokio::test]
async fn each_task_that_is_not_final_within_the_timeout_is_reported() {
    let world = World::new().await;
    let show = |request: &Request| {
        let id = request.url.path().rsplit('/').next().unwrap_or_default();
        ResponseTemplate::new(200)
            .set_body_json(task(id, "pending"))
            .set_delay(Duration::from_millis(50))
    };
    Mock::given(method("GET"))
        .and(path_regex("^/v1/tasks/.+$"))
        .respond_with(show)
        .mount(&world.server)
        .await;
    log(&world, |_| changes(&[], "0")).await;
    let ids: String = (0..20)
        .map(|n| format!("01a21202-0000-7000-8000-{n:012x}\n"))
        .collect();
    let ended = Ended::run(world.mesh(&["wait", "-", "--timeout", "1"]).write_stdin(ids));
    assert_eq!(ended.code, Some(124), "{}", ended.transcript());
    let reported = ended
        .err
        .lines()
        .filter(|line| line.contains("is not final after 1 s"));
    assert_eq!(reported.count(), 20, "{}", ended.transcript());
}

#[tokio::test]
async fn two_runs_of_one_batch_at_once_are_refused() {
    let world = World::new().await;
    api(&world).await;
    texts(&world, 1, 2);
    let first = start(&world, &[]);
    has_results(&world, 1).await;
    let second = world.run(&["batch", "b.jsonl"]);
    assert_eq!(second.code, Some(2), "{}", second.transcript());
    assert!(second.err.contains("is in use"), "{}", second.err);
    interrupt(first);
    assert!(world.folder.path().join("b.jsonl.results.jsonl.journal").exists());
}

#[tokio::test]
async fn an_output_may_be_a_device_but_not_a_folder() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, 0, 2);
    let ended = world.run(&["batch", "b.jsonl", "--output", "/dev/null"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let folder = world.run(&["batch", "b.jsonl", "--output", "."]);
    assert_eq!(folder.code, Some(2), "{}", folder.transcript());
    assert!(folder.err.contains("is a folder"), "{}", folder.err);
    api.state().lost = [2].into();
    let interrupted = world.run(&["batch", "b.jsonl", "--output", "-"]);
    assert_eq!(interrupted.code, Some(3), "{}", interrupted.transcript());
    assert!(
        interrupted.err.contains("the same command starts again"),
        "{}",
        interrupted.err
    );
}

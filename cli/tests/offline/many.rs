//! Many tasks at once: the change log tells which are final, and is trusted with none of them.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, Request, ResponseTemplate};

use crate::keeping::{Api, api, has_results, interrupt, start};
use crate::world::{Ended, World, problem, task};

/// Longer than a test may take.
const ENDLESS: Duration = Duration::from_secs(300);

/// A file of so many texts, of which the first have no end.
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

/// Answers what is asked of the log after that cursor, or for its present.
async fn log(world: &World, answer: impl Fn(Option<&str>) -> ResponseTemplate + Send + Sync + 'static) {
    Mock::given(method("GET"))
        .and(path("/v1/changes"))
        .respond_with(move |request: &Request| {
            let after = request.url.query_pairs().find(|(name, _)| name == "after");
            answer(after.map(|(_, cursor)| cursor.into_owned()).as_deref())
        })
        .mount(&world.server)
        .await;
}

fn changes(changes: &[Value], next: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "changes": changes, "next": next }))
}

/// That all tasks which have an end have come to it.
fn all_ended(api: &Api) -> Vec<Value> {
    let change = |id: &String| {
        json!({ "cursor": "1", "id": id, "type": "sentiment", "status": "completed", "previous_status": "processing",
                "generation": 1, "attempt": 1, "updated_at": "2026-01-31T12:00:09.25Z" })
    };
    api.kept().ended.iter().map(change).collect()
}

#[tokio::test]
async fn slow_lines_hold_up_no_others_and_few_requests_are_held() {
    let world = World::new().await;
    let api = api(&world).await;
    let known = api.clone();
    log(&world, move |after| match after {
        Some("0") if known.kept().texts.len() == 60 => changes(&all_ended(&known), "1"),
        None | Some("0") => changes(&[], "0"),
        Some(_) => changes(&[], "1").set_delay(ENDLESS),
    })
    .await;
    texts(&world, 20, 60);
    // In requests so small that all that is open at first is slow.
    let batch = start(&world, &["--size", "4"]);
    has_results(&world, 40).await;
    let requests = world.server.received_requests().await.unwrap();
    let held = requests.iter().filter(|request| {
        request.url.path().starts_with("/v1/tasks/")
            && request.url.query().is_some_and(|query| query.contains("wait"))
    });
    assert_eq!(held.count(), 1, "the oldest task is waited for by itself");
    let told = interrupt(batch);
    assert!(told.contains("40 of 60 lines are finished"), "{told}");
}

#[tokio::test]
async fn a_log_that_tells_of_nothing_loses_no_line() {
    let world = World::new().await;
    api(&world).await;
    log(&world, |_| changes(&[], "0")).await;
    texts(&world, 0, 30);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    assert!(ended.err.contains("30 lines: 30 completed"), "{}", ended.err);
}

#[tokio::test]
async fn after_a_gap_in_the_log_every_task_is_asked_for() {
    let world = World::new().await;
    api(&world).await;
    log(&world, |after| match after {
        None => changes(&[], "0"),
        Some(_) => problem(410, "changes-gone", "some are not kept"),
    })
    .await;
    texts(&world, 1, 30);
    let batch = start(&world, &[]);
    has_results(&world, 29).await;
    interrupt(batch);
}

#[tokio::test]
async fn without_a_log_as_many_are_waited_for_as_may_be() {
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
async fn each_of_many_tasks_that_are_not_final_in_time_is_told() {
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
    let ended = Ended::of(world.mesh(&["wait", "-", "--timeout", "1"]).write_stdin(ids));
    assert_eq!(ended.code, Some(124), "{}", ended.told());
    let told = ended
        .err
        .lines()
        .filter(|line| line.contains("is not final after 1 s"));
    assert_eq!(told.count(), 20, "{}", ended.told());
}

#[tokio::test]
async fn two_do_not_work_on_one_batch_at_once() {
    let world = World::new().await;
    api(&world).await;
    texts(&world, 1, 2);
    let first = start(&world, &[]);
    has_results(&world, 1).await;
    let second = world.run(&["batch", "b.jsonl"]);
    assert_eq!(second.code, Some(2), "{}", second.told());
    assert!(second.err.contains("another mesh is at work"), "{}", second.err);
    interrupt(first);
    assert!(world.folder.path().join("b.jsonl.results.jsonl.journal").exists());
}

#[tokio::test]
async fn results_go_to_a_device_without_a_journal_and_to_no_folder() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, 0, 2);
    let ended = world.run(&["batch", "b.jsonl", "--output", "/dev/null"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    let folder = world.run(&["batch", "b.jsonl", "--output", "."]);
    assert_eq!(folder.code, Some(2), "{}", folder.told());
    assert!(folder.err.contains("is a folder"), "{}", folder.err);
    api.kept().lost = [2].into();
    let cut = world.run(&["batch", "b.jsonl", "--output", "-"]);
    assert_eq!(cut.code, Some(3), "{}", cut.told());
    assert!(cut.err.contains("the same command begins anew"), "{}", cut.err);
}

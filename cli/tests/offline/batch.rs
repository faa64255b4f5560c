//! `mesh batch`: every line gets one task, however often the batch is interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use mesh_task::TaskId;
use rustix::process::Signal;
use serde_json::{Value, json};
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, Request, ResponseTemplate};

use crate::fake_api::{api, end, has_results, start};
use crate::world::{World, accepted_task, completed, eventually, problem, problem_body, task};

/// Writes the batch `b.jsonl` with these texts, one per line.
pub(crate) fn texts(world: &World, texts: &[&str]) {
    let line = |text: &&str| format!("{}\n", json!({ "type": "sentiment", "input": { "text": text } }));
    world.write("b.jsonl", texts.iter().map(line).collect::<String>());
}

/// The results by line number. Checks that no line has two.
pub(crate) fn results(world: &World) -> BTreeMap<u64, Value> {
    let text = world.read("b.jsonl.results.jsonl");
    let mut results = BTreeMap::new();
    for line in text.lines() {
        let result: Value = serde_json::from_str(line).expect("the line is JSON");
        let line = result["line"].as_u64().expect("the line has a number");
        let duplicate = results.insert(line, result);
        assert!(duplicate.is_none(), "line {line} has two results: {text}");
    }
    results
}

pub(crate) fn has_journal(world: &World) -> bool {
    world.folder.path().join("b.jsonl.results.jsonl.journal").exists()
}

#[tokio::test]
async fn each_line_gets_a_result_or_the_reason_for_its_refusal() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b", "refuse", "c"]);
    let ended = world.run(&["batch", "b.jsonl", "--size", "3"]);
    insta::assert_snapshot!("batch", ended.transcript());
    let results = results(&world);
    assert_eq!(results.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(
        (&results[&1]["status"], &results[&1]["result"]["label"]),
        (&json!("completed"), &json!("POSITIVE"))
    );
    assert_eq!(results[&3]["problem"]["detail"], "send another text");
    assert_eq!(api.state().requests, 2);
    assert!(!has_journal(&world));
    let again = world.run(&["batch", "b.jsonl"]);
    assert_eq!(
        again.code,
        Some(2),
        "existing results are not overwritten: {}",
        again.transcript()
    );
}

#[tokio::test]
async fn a_resumed_batch_submits_only_what_has_no_response() {
    let world = World::new().await;
    let api = api(&world).await;
    let names: Vec<_> = (0..10).map(|n| format!("text {n}")).collect();
    texts(&world, &names.iter().map(String::as_str).collect::<Vec<_>>());
    // The third request creates its tasks, but the response is lost.
    api.state().lost = [3].into();
    let first = world.run(&["batch", "b.jsonl", "--size", "2"]);
    assert_eq!(first.code, Some(3), "{}", first.transcript());
    assert!(
        first.err.contains("the same command resumes from there") && has_journal(&world),
        "{}",
        first.transcript()
    );
    let sent_before = api.state().requests;
    // The journal has the responses. A fourth request may have been under way.
    let journal = world.read("b.jsonl.results.jsonl.journal");
    let entries = journal
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let known: BTreeSet<_> = entries.filter_map(|entry| entry["line"].as_u64()).collect();
    assert!((2..=6).contains(&known.len()), "{journal}");

    // As if the run had been interrupted while it wrote.
    for name in ["b.jsonl.results.jsonl", "b.jsonl.results.jsonl.journal"] {
        let path = world.folder.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap_or_default();
        // The line ends in the middle of a character.
        bytes.extend(b"{\"line\":9,\"problem\":{\"title\":\"caf\xc3");
        std::fs::write(&path, bytes).unwrap();
    }
    let second = world.run(&["batch", "b.jsonl", "--size", "2"]);
    assert_eq!(second.code, Some(0), "{}", second.transcript());
    assert_eq!(
        results(&world).keys().copied().collect::<Vec<_>>(),
        (1..=10).collect::<Vec<_>>()
    );
    let mut created = api.state().texts.clone();
    created.sort();
    assert_eq!(created, names, "each text is one task");
    let bodies = world.sent("/v1/tasks/batch").await;
    let tasks = bodies[sent_before..]
        .iter()
        .filter_map(|body| body["tasks"].as_array());
    let sent_again: BTreeSet<_> = tasks
        .flatten()
        .filter_map(|task| {
            task["input"]["text"]
                .as_str()?
                .strip_prefix("text ")?
                .parse::<u64>()
                .ok()
        })
        .map(|number| number + 1)
        .collect();
    let missing: BTreeSet<_> = (1..=10).filter(|line| !known.contains(line)).collect();
    assert_eq!(
        sent_again, missing,
        "only the lines without a response are sent again"
    );
    assert!(!has_journal(&world));
}

#[tokio::test]
async fn a_batch_that_a_signal_ended_can_be_resumed() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "endless", "b"]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let requests = api.state().endless_requests;
        let batch = start(&world, &["--size", "1"]);
        has_results(&world, 2).await;
        eventually("it waits for the last task", || {
            api.state().endless_requests > requests
        })
        .await;
        let message = end(batch, signal, code);
        assert!(message.contains("2 of 3 lines are finished"), "{message}");
    }
    api.state().endless.clear();
    let second = world.run(&["batch", "b.jsonl", "--size", "1"]);
    assert_eq!(second.code, Some(0), "{}", second.transcript());
    assert_eq!(results(&world).len(), 3);
    let state = api.state();
    assert_eq!(
        (state.requests, state.texts.len()),
        (3, 3),
        "no line is submitted again"
    );
}

#[tokio::test]
async fn a_request_is_repeated_under_its_key_if_the_api_was_too_busy_for_some_tasks() {
    let world = World::new().await;
    let id = TaskId::generate();
    let (accepted, busy) = (
        json!({ "status": 202, "task": accepted_task(&id.to_string(), "sentiment") }),
        json!({ "status": 503, "problem": problem_body(503, "unavailable", "try again") }),
    );
    let responses = [
        json!({ "results": [accepted, busy] }),
        json!({ "results": [accepted, accepted] }),
    ];
    let responses = Mutex::new(responses.into_iter());
    let response = move |_: &Request| {
        ResponseTemplate::new(202).set_body_json(
            responses
                .lock()
                .unwrap()
                .next()
                .expect("there are no more requests"),
        )
    };
    world.mock("POST", "/v1/tasks/batch", response).await;
    texts(&world, &["a", "b"]);
    let ended = world.run(&["batch", "b.jsonl", "--no-wait", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let summary: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&summary["lines"], &summary["done"]), (&json!(2), &json!(2)));
    assert_eq!(results(&world)[&2]["status"], "pending");
    let requests = world.server.received_requests().await.unwrap();
    assert_eq!(
        requests[0].headers["idempotency-key"],
        requests[1].headers["idempotency-key"]
    );
}

#[tokio::test]
async fn a_task_that_the_api_deleted_does_not_stop_the_other_lines() {
    let world = World::new().await;
    let [deleted, completed_id] = [
        "01a21202-48f4-70f7-a2cd-8b57fcde12f0",
        "01a21202-48f4-70f7-a2cd-8b57fcde12f1",
    ];
    let accepted = |id| json!({ "status": 202, "task": accepted_task(id, "sentiment") });
    let body = json!({ "results": [accepted(deleted), accepted(completed_id)] });
    let response = ResponseTemplate::new(202).set_body_json(body);
    world.mock("POST", "/v1/tasks/batch", response).await;
    let not_found = problem(404, "task-not-found", "tasks are deleted after a time");
    world
        .mock("GET", &format!("/v1/tasks/{deleted}"), not_found)
        .await;
    world
        .get(&format!("/v1/tasks/{completed_id}"), completed(completed_id))
        .await;
    texts(&world, &["a", "b"]);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript());
    assert_eq!(
        results(&world)[&1]["problem"]["detail"],
        "tasks are deleted after a time"
    );
    assert_eq!(
        results(&world)[&1]["id"],
        deleted,
        "the id helps to find the task"
    );
    assert_eq!(results(&world)[&2]["status"], "completed");
}

#[tokio::test]
async fn a_journal_of_another_file_is_refused() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b"]);
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    texts(&world, &["a", "another"]);
    let other = world.run(&["batch", "b.jsonl"]);
    assert_eq!(other.code, Some(2), "{}", other.transcript());
    assert!(
        other
            .err
            .contains("belongs to another file, to an earlier content of this one"),
        "{}",
        other.transcript()
    );
}

#[tokio::test]
async fn the_same_file_gives_the_same_tasks_except_with_again() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b"]);
    for (output, arguments, tasks) in [("1", &[][..], 2), ("2", &[], 2), ("3", &["--again"], 4)] {
        let all = [&["batch", "b.jsonl", "--output", output], arguments].concat();
        assert_eq!(world.run(&all).code, Some(0));
        assert_eq!(api.state().texts.len(), tasks);
    }
}

/// Mocks an API whose three tasks complete in the opposite order. Each completes once the next line's result is in the
/// file or, without a file, once the next line's task is completed.
async fn complete_in_reverse(world: &World, file: Option<&str>) {
    let file = file.map(|name| world.folder.path().join(name));
    let done = Mutex::new(BTreeSet::from([4]));
    let show = move |request: &Request| {
        let id = request.url.path().rsplit('/').next().unwrap_or_default();
        // The id's last digit is the line's number.
        let line = id[35..].parse::<u64>().unwrap_or_default();
        let mut done = done.lock().expect("no thread panicked with the lock");
        let is_written = |line: u64| match &file {
            Some(file) if line < 4 => {
                std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("{{\"line\":{line},")))
            }
            _ => true,
        };
        if done.contains(&(line + 1)) && is_written(line + 1) {
            done.insert(line);
            return ResponseTemplate::new(200).set_body_json(completed(id));
        }
        ResponseTemplate::new(200)
            .set_body_json(task(id, "pending"))
            .set_delay(Duration::from_millis(20))
    };
    Mock::given(method("GET"))
        .and(path_regex("^/v1/tasks/.+$"))
        .respond_with(show)
        .mount(&world.server)
        .await;
    let accepted = |line: u8| {
        let id = format!("01a21202-48f4-70f7-a2cd-8b57fcde12f{line}");
        json!({ "status": 202, "task": accepted_task(&id, "sentiment") })
    };
    let body = json!({ "results": [accepted(1), accepted(2), accepted(3)] });
    let response = ResponseTemplate::new(202).set_body_json(body);
    world.mock("POST", "/v1/tasks/batch", response).await;
    texts(world, &["a", "b", "c"]);
}

#[tokio::test]
async fn results_have_the_order_of_the_lines_with_in_order() {
    for (file, arguments, order) in [
        (Some("b.jsonl.results.jsonl"), &[][..], [3, 2, 1]),
        (None, &["--in-order", "--output", "-"], [1, 2, 3]),
    ] {
        let world = World::new().await;
        complete_in_reverse(&world, file).await;
        let ended = world.run(&[&["batch", "b.jsonl"], arguments].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let written = file.map_or(ended.out, |name| world.read(name));
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64();
        let lines: Vec<_> = written.lines().filter_map(line).collect();
        assert_eq!(lines, order);
    }
}

#[tokio::test]
async fn a_file_is_sent_with_its_line_and_a_large_one_is_uploaded_once() {
    let world = World::new().await;
    let api = api(&world).await;
    let upload = world.accept_uploads().await;
    world.write("data/small.png", "PNG");
    world.write("data/large.png", vec![0; 600_000]);
    world.write(
        "data/b.csv",
        "type,file,priority\nocr,small.png,low\nocr,large.png,\n",
    );
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "data/b.csv"]).code, Some(3));
    let ended = world.run(&["batch", "data/b.csv"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert_eq!(world.sent("/v1/uploads").await.len(), 1);
    let sent = world.sent("/v1/tasks/batch").await;
    assert_eq!(sent.first(), sent.last());
    let tasks = json!([
        { "type": "ocr", "input": { "image": "UE5H" }, "priority": "low" },
        { "type": "ocr", "input": { "upload": upload }, "priority": "normal" },
    ]);
    assert_eq!(sent[0]["tasks"], tasks);
}

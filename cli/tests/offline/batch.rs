//! `mesh batch`: every line has one task, however often it was interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use mesh_task::TaskId;
use rustix::process::Signal;
use serde_json::{Value, json};
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, Request, ResponseTemplate};

use crate::keeping::{api, end, has_results, start};
use crate::world::{World, completed, eventually, problem, problem_body, task};

/// A file of texts, a line each.
pub(crate) fn texts(world: &World, texts: &[&str]) {
    let line = |text: &&str| format!("{}\n", json!({ "type": "sentiment", "input": { "text": text } }));
    world.write("b.jsonl", texts.iter().map(line).collect::<String>());
}

/// The results by line; each line has one.
pub(crate) fn results(world: &World) -> BTreeMap<u64, Value> {
    let text = world.read("b.jsonl.results.jsonl");
    let mut results = BTreeMap::new();
    for line in text.lines() {
        let result: Value = serde_json::from_str(line).expect("a line is JSON");
        let line = result["line"].as_u64().expect("a line has its number");
        let before = results.insert(line, result);
        assert!(before.is_none(), "a line has one result: {text}");
    }
    results
}

pub(crate) fn has_journal(world: &World) -> bool {
    world.folder.path().join("b.jsonl.results.jsonl.journal").exists()
}

#[tokio::test]
async fn each_line_has_its_result_and_a_refused_one_its_reason() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b", "refuse", "c"]);
    let ended = world.run(&["batch", "b.jsonl", "--size", "3"]);
    insta::assert_snapshot!("batch", ended.told());
    let results = results(&world);
    assert_eq!(results.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(
        (&results[&1]["status"], &results[&1]["result"]["label"]),
        (&json!("completed"), &json!("POSITIVE"))
    );
    assert_eq!(results[&3]["problem"]["detail"], "send another text");
    assert_eq!(api.kept().requests, 2);
    assert!(!has_journal(&world));
    let again = world.run(&["batch", "b.jsonl"]);
    assert_eq!(
        again.code,
        Some(2),
        "finished work is not written over: {}",
        again.told()
    );
}

#[tokio::test]
async fn an_interrupted_batch_submits_what_is_missing_and_nothing_twice() {
    let world = World::new().await;
    let api = api(&world).await;
    let names: Vec<_> = (0..10).map(|n| format!("text {n}")).collect();
    texts(&world, &names.iter().map(String::as_str).collect::<Vec<_>>());
    // The third request's tasks are made, and nobody hears of it.
    api.kept().lost = [3].into();
    let first = world.run(&["batch", "b.jsonl", "--size", "2"]);
    assert_eq!(first.code, Some(3), "{}", first.told());
    assert!(
        first.err.contains("the same command goes on from there") && has_journal(&world),
        "{}",
        first.told()
    );
    let sent_before = api.kept().requests;
    // What was answered is in the journal. A fourth request may have been under way.
    let journal = world.read("b.jsonl.results.jsonl.journal");
    let entries = journal
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let known: BTreeSet<_> = entries.filter_map(|entry| entry["line"].as_u64()).collect();
    assert!((2..=6).contains(&known.len()), "{journal}");

    // As if it had been cut off while it wrote.
    for name in ["b.jsonl.results.jsonl", "b.jsonl.results.jsonl.journal"] {
        let torn = world.folder.path().join(name);
        let mut bytes = std::fs::read(&torn).unwrap_or_default();
        // In the middle of a character.
        bytes.extend(b"{\"line\":9,\"problem\":{\"title\":\"caf\xc3");
        std::fs::write(&torn, bytes).unwrap();
    }
    let second = world.run(&["batch", "b.jsonl", "--size", "2"]);
    assert_eq!(second.code, Some(0), "{}", second.told());
    assert_eq!(
        results(&world).keys().copied().collect::<Vec<_>>(),
        (1..=10).collect::<Vec<_>>()
    );
    let mut made = api.kept().texts.clone();
    made.sort();
    assert_eq!(made, names, "each text is one task");
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
        "what was not answered is sent again, and nothing else"
    );
    assert!(!has_journal(&world));
}

#[tokio::test]
async fn a_signal_leaves_whole_lines_to_go_on_from() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "endless", "b"]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let asked = api.kept().asked;
        let batch = start(&world, &["--size", "1"]);
        has_results(&world, 2).await;
        eventually("the last is waited for", || api.kept().asked > asked).await;
        let told = end(batch, signal, code);
        assert!(told.contains("2 of 3 lines are finished"), "{told}");
    }
    api.kept().endless.clear();
    let second = world.run(&["batch", "b.jsonl", "--size", "1"]);
    assert_eq!(second.code, Some(0), "{}", second.told());
    assert_eq!(results(&world).len(), 3);
    let kept = api.kept();
    assert_eq!(
        (kept.requests, kept.texts.len()),
        (3, 3),
        "nothing was left to submit"
    );
}

#[tokio::test]
async fn entries_that_the_api_could_not_keep_are_sent_again_under_their_key() {
    let world = World::new().await;
    let id = TaskId::generate();
    let (accepted, busy) = (
        json!({ "status": 202, "task": { "id": id, "type": "sentiment", "status": "pending" } }),
        json!({ "status": 503, "problem": problem_body(503, "unavailable", "try again") }),
    );
    let answers = [
        json!({ "results": [accepted, busy] }),
        json!({ "results": [accepted, accepted] }),
    ];
    let answers = Mutex::new(answers.into_iter());
    let answer = move |_: &Request| {
        ResponseTemplate::new(202).set_body_json(answers.lock().unwrap().next().expect("no more is asked"))
    };
    world.answer("POST", "/v1/tasks/batch", answer).await;
    texts(&world, &["a", "b"]);
    let ended = world.run(&["batch", "b.jsonl", "--no-wait", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    let told: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&told["lines"], &told["done"]), (&json!(2), &json!(2)));
    assert_eq!(results(&world)[&2]["status"], "pending");
    let requests = world.server.received_requests().await.unwrap();
    assert_eq!(
        requests[0].headers["idempotency-key"],
        requests[1].headers["idempotency-key"]
    );
}

#[tokio::test]
async fn a_task_that_is_no_longer_kept_holds_up_no_other_line() {
    let world = World::new().await;
    let [gone, kept] = [
        "01a21202-48f4-70f7-a2cd-8b57fcde12f0",
        "01a21202-48f4-70f7-a2cd-8b57fcde12f1",
    ];
    let accepted =
        |id| json!({ "status": 202, "task": { "id": id, "type": "sentiment", "status": "pending" } });
    let answer = json!({ "results": [accepted(gone), accepted(kept)] });
    let answer = ResponseTemplate::new(202).set_body_json(answer);
    world.answer("POST", "/v1/tasks/batch", answer).await;
    let not_found = problem(404, "task-not-found", "tasks are kept for a limited time");
    world.answer("GET", &format!("/v1/tasks/{gone}"), not_found).await;
    world.get(&format!("/v1/tasks/{kept}"), completed(kept)).await;
    texts(&world, &["a", "b"]);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(1), "{}", ended.told());
    assert_eq!(
        results(&world)[&1]["problem"]["detail"],
        "tasks are kept for a limited time"
    );
    assert_eq!(results(&world)[&1]["id"], gone, "by which it may be looked for");
    assert_eq!(results(&world)[&2]["status"], "completed");
}

#[tokio::test]
async fn a_journal_of_another_file_is_not_gone_on_with() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b"]);
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    texts(&world, &["a", "another"]);
    let other = world.run(&["batch", "b.jsonl"]);
    assert_eq!(other.code, Some(2), "{}", other.told());
    assert!(
        other
            .err
            .contains("is of another file, or of this one before it changed"),
        "{}",
        other.told()
    );
}

#[tokio::test]
async fn the_same_file_gives_the_same_tasks_unless_new_ones_are_asked_for() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b"]);
    for (output, arguments, tasks) in [("1", &[][..], 2), ("2", &[], 2), ("3", &["--again"], 4)] {
        let all = [&["batch", "b.jsonl", "--output", output], arguments].concat();
        assert_eq!(world.run(&all).code, Some(0));
        assert_eq!(api.kept().texts.len(), tasks);
    }
}

/// An API whose three tasks end in the opposite order: each once the next line's result is in that file or, without
/// one, was answered.
async fn last_comes_first(world: &World, file: Option<&str>) {
    let file = file.map(|name| world.folder.path().join(name));
    let answered = Mutex::new(BTreeSet::from([4]));
    let show = move |request: &Request| {
        let id = request.url.path().rsplit('/').next().unwrap_or_default();
        // It ends as its line.
        let line = id[35..].parse::<u64>().unwrap_or_default();
        let mut answered = answered.lock().expect("nobody panics while it is held");
        let is_written = |line: u64| match &file {
            Some(file) if line < 4 => {
                std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("{{\"line\":{line},")))
            }
            _ => true,
        };
        if answered.contains(&(line + 1)) && is_written(line + 1) {
            answered.insert(line);
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
        json!({ "status": 202, "task": { "id": id, "type": "sentiment", "status": "pending" } })
    };
    let answer = json!({ "results": [accepted(1), accepted(2), accepted(3)] });
    let answer = ResponseTemplate::new(202).set_body_json(answer);
    world.answer("POST", "/v1/tasks/batch", answer).await;
    texts(world, &["a", "b", "c"]);
}

#[tokio::test]
async fn results_come_in_the_order_of_the_lines_where_that_is_asked() {
    for (file, arguments, order) in [
        (Some("b.jsonl.results.jsonl"), &[][..], [3, 2, 1]),
        (None, &["--in-order", "--output", "-"], [1, 2, 3]),
    ] {
        let world = World::new().await;
        last_comes_first(&world, file).await;
        let ended = world.run(&[&["batch", "b.jsonl"], arguments].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let written = file.map_or(ended.out, |name| world.read(name));
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64();
        let lines: Vec<_> = written.lines().filter_map(line).collect();
        assert_eq!(lines, order);
    }
}

#[tokio::test]
async fn a_file_that_a_line_names_travels_with_it_and_a_large_one_is_uploaded_once() {
    let world = World::new().await;
    let api = api(&world).await;
    let upload = world.take_uploads().await;
    world.write("data/small.png", "PNG");
    world.write("data/large.png", vec![0; 600_000]);
    world.write(
        "data/b.csv",
        "type,file,priority\nocr,small.png,low\nocr,large.png,\n",
    );
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "data/b.csv"]).code, Some(3));
    let ended = world.run(&["batch", "data/b.csv"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    assert_eq!(world.sent("/v1/uploads").await.len(), 1);
    let sent = world.sent("/v1/tasks/batch").await;
    assert_eq!(sent.first(), sent.last());
    let tasks = json!([
        { "type": "ocr", "input": { "image": "UE5H" }, "priority": "low" },
        { "type": "ocr", "input": { "upload": upload }, "priority": "normal" },
    ]);
    assert_eq!(sent[0]["tasks"], tasks);
}

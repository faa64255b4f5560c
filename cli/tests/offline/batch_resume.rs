//! What a second run of `mesh batch` makes of what an earlier one left.

use std::fs;

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::batch::{has_journal, results, texts};
use crate::keeping::{api, has_results, interrupt, start};
use crate::world::{Ended, ID, World, completed};

const JOURNAL: &str = "b.jsonl.results.jsonl.journal";

/// The batch `b.jsonl` of files with these texts, a line each.
fn files(world: &World, texts: &[&str]) {
    let mut lines = String::new();
    for (place, text) in texts.iter().enumerate() {
        let name = format!("{place}.txt");
        let line = json!({ "type": "sentiment", "input": { "file": name } });
        lines.push_str(&format!("{line}\n"));
        world.write(&name, text);
    }
    world.write("b.jsonl", lines);
}

/// The batch `b.jsonl` of one picture that is uploaded.
fn picture(world: &World, content: u8) {
    world.write("b.jsonl", "{\"type\":\"ocr\",\"input\":{\"file\":\"a.png\"}}\n");
    world.write("a.png", vec![content; 600_000]);
}

/// As if it had been interrupted before the request was sent.
fn nothing_is_sent(world: &World) {
    let journal = world.read(JOURNAL);
    let kept = journal.lines().filter(|line| !line.contains("\"sent\""));
    world.write(JOURNAL, kept.map(|line| format!("{line}\n")).collect::<String>());
}

/// As if the first line had been answered by the API's first task.
fn first_is_known(world: &World) {
    let mut journal = world.read(JOURNAL);
    journal.push_str("{\"line\":1,\"id\":\"01a21202-0000-7000-8000-000000000000\"}\n");
    world.write(JOURNAL, journal);
}

/// As if the requests and the uploads had been sent long ago.
fn long_ago(world: &World) {
    age(world, &["/sent/at", "/upload/at"]);
}

fn age(world: &World, what: &[&str]) {
    let age = |line: &str| {
        let mut entry: Value = serde_json::from_str(line).expect("a line is JSON");
        for at in what {
            if let Some(at) = entry.pointer_mut(at) {
                *at = json!("2026-01-31T12:00:00Z");
            }
        }
        format!("{entry}\n")
    };
    let journal: String = world.read(JOURNAL).lines().map(age).collect();
    world.write(JOURNAL, journal);
}

/// The texts of each request, and its key.
async fn requests(world: &World) -> Vec<(Vec<String>, String)> {
    let requests = world.server.received_requests().await.unwrap_or_default();
    let posts = requests
        .iter()
        .filter(|request| request.url.path() == "/v1/tasks/batch");
    let each = posts.map(|request| {
        let body: Value = serde_json::from_slice(&request.body).expect("a body is JSON");
        let tasks = body["tasks"].as_array().into_iter().flatten();
        let texts = tasks.map(|task| task["input"]["text"].as_str().unwrap_or_default().to_owned());
        let key = request.headers["idempotency-key"]
            .to_str()
            .unwrap_or_default()
            .to_owned();
        (texts.collect(), key)
    });
    each.collect()
}

#[tokio::test]
async fn a_request_that_was_answered_in_part_is_repeated_as_it_was_while_its_key_holds() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b", "c"]);
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    first_is_known(&world);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    let requests = requests(&world).await;
    assert_eq!(requests[0], requests[1]);
    assert_eq!((api.kept().texts.len(), results(&world).len()), (3, 3));
}

#[tokio::test]
async fn a_line_that_was_answered_is_not_sent_again_however_much_later() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b", "c"]);
    api.kept().lost = [1, 2].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    first_is_known(&world);
    long_ago(&world);
    // This run's request is lost too, and repeated by the next as it was.
    let cut = world.run(&["batch", "b.jsonl"]);
    assert_eq!(cut.code, Some(3), "{}", cut.told());
    assert!(cut.err.contains("2 lines may run twice"), "{}", cut.told());
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    let requests = requests(&world).await;
    assert_eq!(requests[1].0, ["b", "c"]);
    assert_ne!(requests[0].1, requests[1].1, "each content has a key of its own");
    assert_eq!(requests[1], requests[2]);
    let results = results(&world);
    assert_eq!(results[&1]["id"], "01a21202-0000-7000-8000-000000000000");
    assert_eq!(results[&3]["id"], "01a21202-0000-7000-8000-000000000004");
}

#[tokio::test]
async fn a_file_that_changed_takes_no_answered_line_along() {
    let world = World::new().await;
    let api = api(&world).await;
    files(&world, &["a", "b", "c"]);
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl", "--size", "2"]).code, Some(3));
    first_is_known(&world);
    world.write("1.txt", "another");
    let ended = world.run(&["batch", "b.jsonl", "--size", "2"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    assert!(ended.err.contains("1 line may run twice"), "{}", ended.told());
    let made = api.kept().texts.clone();
    let count = |text: &str| made.iter().filter(|made| *made == text).count();
    assert_eq!((count("a"), count("c"), count("another")), (1, 1, 1), "{made:?}");
    assert_eq!(results(&world).len(), 3);
}

#[tokio::test]
async fn a_line_that_may_run_twice_is_told_where_its_file_changed_back_too() {
    let world = World::new().await;
    let api = api(&world).await;
    files(&world, &["a", "b"]);
    api.kept().lost = [1, 2].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    world.write("1.txt", "another");
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    world.write("1.txt", "b");
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    assert_eq!(
        api.kept().texts,
        ["a", "b", "a", "another"],
        "the first request is repeated"
    );
    assert!(ended.err.contains("2 lines may run twice"), "{}", ended.told());
}

#[tokio::test]
async fn a_file_that_changed_after_its_upload_is_uploaded_anew() {
    let world = World::new().await;
    let api = api(&world).await;
    world.take_uploads().await;
    picture(&world, 1);
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    nothing_is_sent(&world);
    picture(&world, 2);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    let announced = world.sent("/v1/uploads").await;
    assert_eq!(announced.len(), 2);
    assert_ne!(announced[0]["sha256"], announced[1]["sha256"]);
}

#[tokio::test]
async fn an_upload_of_long_ago_is_not_relied_on() {
    let world = World::new().await;
    let api = api(&world).await;
    world.take_uploads().await;
    picture(&world, 1);
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    nothing_is_sent(&world);
    long_ago(&world);
    let picture = world.folder.path().join("a.png");
    let aside = world.folder.path().join("aside.png");
    fs::rename(&picture, &aside).unwrap();
    let gone = world.run(&["batch", "b.jsonl"]);
    assert_eq!(gone.code, Some(2), "{}", gone.told());
    fs::rename(&aside, &picture).unwrap();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    assert_eq!(world.sent("/v1/uploads").await.len(), 2);
}

#[tokio::test]
async fn a_request_that_is_remembered_is_repeated_however_old_its_upload_is() {
    let world = World::new().await;
    let api = api(&world).await;
    world.take_uploads().await;
    picture(&world, 1);
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    age(&world, &["/upload/at"]);
    fs::remove_file(world.folder.path().join("a.png")).unwrap();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    let requests = requests(&world).await;
    assert_eq!(requests[0], requests[1]);
    assert_eq!(world.sent("/v1/uploads").await.len(), 1);
}

#[tokio::test]
async fn an_upload_of_today_stands_in_for_a_file_that_is_gone() {
    let world = World::new().await;
    let api = api(&world).await;
    world.take_uploads().await;
    picture(&world, 1);
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    nothing_is_sent(&world);
    fs::remove_file(world.folder.path().join("a.png")).unwrap();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    assert_eq!(world.sent("/v1/uploads").await.len(), 1);
}

#[tokio::test]
async fn that_nobody_listens_makes_it_no_success() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["refuse"]);
    api.kept().lost = [1].into();
    assert_eq!(world.run_unheard(&["batch", "b.jsonl"]), Some(3));
    assert!(has_journal(&world));
    assert_eq!(world.run_unheard(&["batch", "b.jsonl"]), Some(1));
}

#[tokio::test]
async fn another_stack_is_not_asked_for_the_tasks_of_this_one() {
    let (world, other) = (World::new().await, World::new().await);
    let api = api(&world).await;
    texts(&world, &["a", "endless"]);
    let batch = start(&world, &[]);
    has_results(&world, 1).await;
    interrupt(batch);
    let elsewhere = Ended::of(
        world
            .mesh(&["batch", "b.jsonl"])
            .env("AI_MESH_URL", other.server.uri()),
    );
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.told());
    let told = format!("is of another stack, {}", world.server.uri());
    assert!(elsewhere.err.contains(&told), "{}", elsewhere.told());
    assert!(other.server.received_requests().await.unwrap().is_empty());
    assert!(has_journal(&world));
    api.kept().endless.clear();
    let address = format!("{}/", world.server.uri());
    let here = Ended::of(world.mesh(&["batch", "b.jsonl"]).env("AI_MESH_URL", address));
    assert_eq!(here.code, Some(0), "{}", here.told());
}

#[tokio::test]
async fn results_are_collected_although_the_files_are_gone() {
    let world = World::new().await;
    let api = api(&world).await;
    files(&world, &["a", "endless"]);
    let batch = start(&world, &[]);
    has_results(&world, 1).await;
    interrupt(batch);
    for name in ["0.txt", "1.txt"] {
        fs::remove_file(world.folder.path().join(name)).unwrap();
    }
    api.kept().endless.clear();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    assert_eq!((api.kept().requests, results(&world).len()), (1, 2));
}

#[tokio::test]
async fn a_file_that_is_still_to_be_sent_must_be_there() {
    let world = World::new().await;
    let api = api(&world).await;
    files(&world, &["a", "b"]);
    api.kept().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    first_is_known(&world);
    fs::remove_file(world.folder.path().join("1.txt")).unwrap();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(2), "{}", ended.told());
    for told in ["line 2: 1.txt can't be read", "; nothing more was submitted"] {
        assert!(ended.err.contains(told), "{}", ended.told());
    }
    assert!(has_journal(&world));
}

#[tokio::test]
async fn a_file_that_no_task_can_take_is_named_before_anything_is_sent() {
    let world = World::new().await;
    for (content, why) in [
        (
            vec![b'x'; 8_000_000],
            "line 2: 1.txt: a text of 8000000 bytes is too long",
        ),
        (
            vec![0xff],
            "line 2: 1.txt: sentiment takes a text, and this is no UTF-8",
        ),
    ] {
        files(&world, &["a", "b"]);
        world.write("1.txt", content);
        let ended = world.run(&["batch", "b.jsonl"]);
        assert_eq!(ended.code, Some(2), "{}", ended.told());
        for told in [why, "; nothing was submitted"] {
            assert!(ended.err.contains(told), "{}", ended.told());
        }
        assert!(!has_journal(&world), "nothing was begun");
        let alone = world.run(&["submit", "sentiment", "--file", "1.txt"]);
        assert_eq!(alone.code, Some(2), "{}", alone.told());
    }
    assert!(world.server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_with_a_line_that_has_no_result_is_not_done() {
    let world = World::new().await;
    let accepted = json!({ "status": 202, "task": { "id": ID, "type": "sentiment", "status": "pending" } });
    // The same task for two lines, as no API should.
    let answer = ResponseTemplate::new(202).set_body_json(json!({ "results": [accepted, accepted] }));
    world.answer("POST", "/v1/tasks/batch", answer).await;
    world.get(&format!("/v1/tasks/{ID}"), completed(ID)).await;
    texts(&world, &["a", "b"]);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(3), "{}", ended.told());
    assert!(ended.err.contains("1 line came to no end"), "{}", ended.told());
    assert!(has_journal(&world));
}

#[tokio::test]
async fn an_answer_for_fewer_lines_than_were_sent_is_the_api_s_fault() {
    let world = World::new().await;
    let answer = ResponseTemplate::new(202).set_body_json(json!({ "results": [] }));
    world.answer("POST", "/v1/tasks/batch", answer).await;
    texts(&world, &["a"]);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(3), "{}", ended.told());
    assert!(
        ended.err.contains("answered for fewer lines than were sent"),
        "{}",
        ended.told()
    );
    assert!(has_journal(&world));
}

//! How a run of `mesh batch` resumes an earlier one.

use std::fs;

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::batch::{has_journal, results, texts};
use crate::fake_api::{api, has_results, interrupt, start};
use crate::world::{Ended, ID, World, accepted_task, completed};

const JOURNAL: &str = "b.jsonl.results.jsonl.journal";

/// Writes the batch `b.jsonl`, with one file per text.
fn files(world: &World, texts: &[&str]) {
    let mut lines = String::new();
    for (index, text) in texts.iter().enumerate() {
        let name = format!("{index}.txt");
        let line = json!({ "type": "sentiment", "input": { "file": name } });
        lines.push_str(&format!("{line}\n"));
        world.write(&name, text);
    }
    world.write("b.jsonl", lines);
}

/// Writes the batch `b.jsonl` with one image that is large enough to be uploaded.
fn image(world: &World, content: u8) {
    world.write("b.jsonl", "{\"type\":\"ocr\",\"input\":{\"file\":\"a.png\"}}\n");
    world.write("a.png", vec![content; 600_000]);
}

/// Edits the journal as if the batch had been interrupted before it sent its request.
fn forget_requests(world: &World) {
    let journal = world.read(JOURNAL);
    let others = journal.lines().filter(|line| !line.contains("\"sent\""));
    world.write(
        JOURNAL,
        others.map(|line| format!("{line}\n")).collect::<String>(),
    );
}

/// Edits the journal as if the API had accepted the first line as its first task.
fn add_first_response(world: &World) {
    let mut journal = world.read(JOURNAL);
    journal.push_str("{\"line\":1,\"id\":\"01a21202-0000-7000-8000-000000000000\"}\n");
    world.write(JOURNAL, journal);
}

/// Edits the journal as if the requests and uploads were long ago.
fn age_all(world: &World) {
    age(world, &["/sent/at", "/upload/at"]);
}

fn age(world: &World, times: &[&str]) {
    let age = |line: &str| {
        let mut entry: Value = serde_json::from_str(line).expect("the line is JSON");
        for at in times {
            if let Some(at) = entry.pointer_mut(at) {
                *at = json!("2026-01-31T12:00:00Z");
            }
        }
        format!("{entry}\n")
    };
    let journal: String = world.read(JOURNAL).lines().map(age).collect();
    world.write(JOURNAL, journal);
}

/// The texts and the idempotency key of each request.
async fn requests(world: &World) -> Vec<(Vec<String>, String)> {
    let requests = world.server.received_requests().await.unwrap_or_default();
    let posts = requests
        .iter()
        .filter(|request| request.url.path() == "/v1/tasks/batch");
    let each = posts.map(|request| {
        let body: Value = serde_json::from_slice(&request.body).expect("the body is JSON");
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
async fn a_request_that_lacks_responses_is_repeated_unchanged_while_its_key_is_remembered() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b", "c"]);
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    add_first_response(&world);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let requests = requests(&world).await;
    assert_eq!(requests[0], requests[1]);
    assert_eq!((api.state().texts.len(), results(&world).len()), (3, 3));
}

#[tokio::test]
async fn a_line_with_a_response_is_never_sent_again() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["a", "b", "c"]);
    api.state().lost = [1, 2].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    add_first_response(&world);
    age_all(&world);
    // The response to this run's request is lost too, and the next run repeats it unchanged.
    let interrupted = world.run(&["batch", "b.jsonl"]);
    assert_eq!(interrupted.code, Some(3), "{}", interrupted.transcript());
    assert!(
        interrupted.err.contains("2 lines may run twice"),
        "{}",
        interrupted.transcript()
    );
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let requests = requests(&world).await;
    assert_eq!(requests[1].0, ["b", "c"]);
    assert_ne!(requests[0].1, requests[1].1, "another content has another key");
    assert_eq!(requests[1], requests[2]);
    let results = results(&world);
    assert_eq!(results[&1]["id"], "01a21202-0000-7000-8000-000000000000");
    assert_eq!(results[&3]["id"], "01a21202-0000-7000-8000-000000000004");
}

#[tokio::test]
async fn a_changed_file_does_not_repeat_a_line_that_has_a_response() {
    let world = World::new().await;
    let api = api(&world).await;
    files(&world, &["a", "b", "c"]);
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl", "--size", "2"]).code, Some(3));
    add_first_response(&world);
    world.write("1.txt", "another");
    let ended = world.run(&["batch", "b.jsonl", "--size", "2"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert!(
        ended.err.contains("1 line may run twice"),
        "{}",
        ended.transcript()
    );
    let created = api.state().texts.clone();
    let count = |text: &str| created.iter().filter(|created| *created == text).count();
    assert_eq!(
        (count("a"), count("c"), count("another")),
        (1, 1, 1),
        "{created:?}"
    );
    assert_eq!(results(&world).len(), 3);
}

#[tokio::test]
async fn a_line_that_may_run_twice_is_reported_even_if_its_file_is_changed_back() {
    let world = World::new().await;
    let api = api(&world).await;
    files(&world, &["a", "b"]);
    api.state().lost = [1, 2].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    world.write("1.txt", "another");
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    world.write("1.txt", "b");
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert_eq!(
        api.state().texts,
        ["a", "b", "a", "another"],
        "the first request is repeated"
    );
    assert!(
        ended.err.contains("2 lines may run twice"),
        "{}",
        ended.transcript()
    );
}

#[tokio::test]
async fn a_file_that_changed_after_its_upload_is_uploaded_again() {
    let world = World::new().await;
    let api = api(&world).await;
    world.accept_uploads().await;
    image(&world, 1);
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    forget_requests(&world);
    image(&world, 2);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let uploads = world.sent("/v1/uploads").await;
    assert_eq!(uploads.len(), 2);
    assert_ne!(uploads[0]["sha256"], uploads[1]["sha256"]);
}

#[tokio::test]
async fn an_old_upload_is_not_used_again() {
    let world = World::new().await;
    let api = api(&world).await;
    world.accept_uploads().await;
    image(&world, 1);
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    forget_requests(&world);
    age_all(&world);
    let image = world.folder.path().join("a.png");
    let aside = world.folder.path().join("aside.png");
    fs::rename(&image, &aside).unwrap();
    let gone = world.run(&["batch", "b.jsonl"]);
    assert_eq!(gone.code, Some(2), "{}", gone.transcript());
    fs::rename(&aside, &image).unwrap();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert_eq!(world.sent("/v1/uploads").await.len(), 2);
}

#[tokio::test]
async fn a_remembered_request_is_repeated_however_old_its_upload_is() {
    let world = World::new().await;
    let api = api(&world).await;
    world.accept_uploads().await;
    image(&world, 1);
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    age(&world, &["/upload/at"]);
    fs::remove_file(world.folder.path().join("a.png")).unwrap();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let requests = requests(&world).await;
    assert_eq!(requests[0], requests[1]);
    assert_eq!(world.sent("/v1/uploads").await.len(), 1);
}

#[tokio::test]
async fn a_recent_upload_replaces_a_file_that_is_gone() {
    let world = World::new().await;
    let api = api(&world).await;
    world.accept_uploads().await;
    image(&world, 1);
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    forget_requests(&world);
    fs::remove_file(world.folder.path().join("a.png")).unwrap();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert_eq!(world.sent("/v1/uploads").await.len(), 1);
}

#[tokio::test]
async fn a_closed_standard_error_does_not_change_the_exit_code() {
    let world = World::new().await;
    let api = api(&world).await;
    texts(&world, &["refuse"]);
    api.state().lost = [1].into();
    assert_eq!(world.run_with_closed_stderr(&["batch", "b.jsonl"]), Some(3));
    assert!(has_journal(&world));
    assert_eq!(world.run_with_closed_stderr(&["batch", "b.jsonl"]), Some(1));
}

#[tokio::test]
async fn a_batch_is_not_resumed_on_another_stack() {
    let (world, other) = (World::new().await, World::new().await);
    let api = api(&world).await;
    texts(&world, &["a", "endless"]);
    let batch = start(&world, &[]);
    has_results(&world, 1).await;
    interrupt(batch);
    let elsewhere = Ended::run(
        world
            .mesh(&["batch", "b.jsonl"])
            .env("AI_MESH_URL", other.server.uri()),
    );
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.transcript());
    let message = format!("belongs to another stack, {}", world.server.uri());
    assert!(elsewhere.err.contains(&message), "{}", elsewhere.transcript());
    assert!(other.server.received_requests().await.unwrap().is_empty());
    assert!(has_journal(&world));
    api.state().endless.clear();
    let address = format!("{}/", world.server.uri());
    let here = Ended::run(world.mesh(&["batch", "b.jsonl"]).env("AI_MESH_URL", address));
    assert_eq!(here.code, Some(0), "{}", here.transcript());
}

#[tokio::test]
async fn results_are_collected_even_if_the_files_are_gone() {
    let world = World::new().await;
    let api = api(&world).await;
    files(&world, &["a", "endless"]);
    let batch = start(&world, &[]);
    has_results(&world, 1).await;
    interrupt(batch);
    for name in ["0.txt", "1.txt"] {
        fs::remove_file(world.folder.path().join(name)).unwrap();
    }
    api.state().endless.clear();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert_eq!((api.state().requests, results(&world).len()), (1, 2));
}

#[tokio::test]
async fn the_file_of_a_line_that_is_not_sent_yet_must_exist() {
    let world = World::new().await;
    let api = api(&world).await;
    files(&world, &["a", "b"]);
    api.state().lost = [1].into();
    assert_eq!(world.run(&["batch", "b.jsonl"]).code, Some(3));
    add_first_response(&world);
    fs::remove_file(world.folder.path().join("1.txt")).unwrap();
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(2), "{}", ended.transcript());
    for message in ["line 2: cannot read 1.txt", "; nothing more was submitted"] {
        assert!(ended.err.contains(message), "{}", ended.transcript());
    }
    assert!(has_journal(&world));
}

#[tokio::test]
async fn a_file_that_the_api_would_refuse_is_reported_before_anything_is_sent() {
    let world = World::new().await;
    for (content, why) in [
        (
            vec![b'x'; 8_000_000],
            "line 2: 1.txt: a text of 8000000 bytes is too long",
        ),
        (
            vec![0xff],
            "line 2: 1.txt: sentiment takes a text, and this is not UTF-8",
        ),
    ] {
        files(&world, &["a", "b"]);
        world.write("1.txt", content);
        let ended = world.run(&["batch", "b.jsonl"]);
        assert_eq!(ended.code, Some(2), "{}", ended.transcript());
        for message in [why, "; nothing was submitted"] {
            assert!(ended.err.contains(message), "{}", ended.transcript());
        }
        assert!(!has_journal(&world), "the batch has not started");
        let alone = world.run(&["submit", "sentiment", "--file", "1.txt"]);
        assert_eq!(alone.code, Some(2), "{}", alone.transcript());
    }
    assert!(world.server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_with_a_line_without_a_result_is_not_finished() {
    let world = World::new().await;
    let accepted = json!({ "status": 202, "task": accepted_task(ID, "sentiment") });
    // An invalid response: the same task for two lines.
    let response = ResponseTemplate::new(202).set_body_json(json!({ "results": [accepted, accepted] }));
    world.mock("POST", "/v1/tasks/batch", response).await;
    world.get(&format!("/v1/tasks/{ID}"), completed(ID)).await;
    texts(&world, &["a", "b"]);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(3), "{}", ended.transcript());
    assert!(
        ended.err.contains("1 line got no result"),
        "{}",
        ended.transcript()
    );
    assert!(has_journal(&world));
}

#[tokio::test]
async fn a_response_with_fewer_results_than_lines_is_invalid() {
    let world = World::new().await;
    let response = ResponseTemplate::new(202).set_body_json(json!({ "results": [] }));
    world.mock("POST", "/v1/tasks/batch", response).await;
    texts(&world, &["a"]);
    let ended = world.run(&["batch", "b.jsonl"]);
    assert_eq!(ended.code, Some(3), "{}", ended.transcript());
    assert!(
        ended.err.contains("has fewer results than the request has lines"),
        "{}",
        ended.transcript()
    );
    assert!(has_journal(&world));
}

//! The output of each command, for people and as JSON.

use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::world::{ID, OTHER, World, ago, completed, failed, task};

fn lines(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).expect("the line is JSON"))
        .collect()
}

#[tokio::test]
async fn status_inspect_and_result_show_a_task() {
    let world = World::new().await;
    world.get(&format!("/v1/tasks/{ID}"), completed(ID)).await;
    assert_snapshot!("status", world.run(&["status", ID]).transcript());
    assert_snapshot!("inspect", world.run(&["inspect", ID]).transcript());
    assert_snapshot!("result", world.run(&["result", ID]).transcript());
    let json = world.run(&["status", ID, "--json"]);
    assert_eq!(lines(&json.out), [completed(ID)], "it is the API's JSON");
}

#[tokio::test]
async fn a_list_is_a_table_or_one_line_of_json_per_task() {
    let world = World::new().await;
    let (mut new, mut old) = (task(ID, "processing"), failed(OTHER));
    new["created_at"] = json!(ago(5));
    old["created_at"] = json!(ago(180));
    world.get("/v1/tasks", json!({ "tasks": [new, old] })).await;
    assert_snapshot!("list", world.run(&["list"]).transcript());
    let json = world.run(&["list", "--json", "--limit", "1"]);
    assert_eq!(lines(&json.out).len(), 1);
    assert_eq!(lines(&json.out)[0]["id"], ID);
    let arguments = [
        "list",
        "--status",
        "failed",
        "--type",
        "ocr",
        "--metadata",
        "a b=1",
        "--since",
        "2026-01-31T12:00:00Z",
        "--limit",
        "7",
    ];
    world.run(&arguments);
    let requests = world.server.received_requests().await.unwrap();
    let query = requests.last().unwrap().url.query().unwrap();
    assert_eq!(
        query,
        "status=failed&type=ocr&created_after=2026-01-31T12%3A00%3A00Z&limit=7&metadata.a%20b=1"
    );
}

#[tokio::test]
async fn a_large_result_is_downloaded_and_its_checksum_verified() {
    let world = World::new().await;
    let body = r#"{"label":"POSITIVE","score":0.5,"positive":0.5}"#;
    let mut large = task(ID, "completed");
    large["result_link"] = json!({
        "url": format!("{}/bucket/large", world.server.uri()), "expires_at": "2026-01-31T12:15:00Z",
        "bytes": body.len(),
        "content_type": "application/json",
        "sha256": "a23e39ed01f3ad85f3b91c36d26d1d1b2c9a9d1d1a7b3ba0ee6b1ebc0ed9bd4e",
    });
    world
        .mock(
            "GET",
            "/bucket/large",
            ResponseTemplate::new(200).set_body_string(body),
        )
        .await;
    world.get(&format!("/v1/tasks/{OTHER}"), large.clone()).await;
    let other = world.run(&["result", OTHER]);
    assert_eq!(
        other.code,
        Some(3),
        "the checksum does not match: {}",
        other.transcript()
    );
    let digest = <sha2::Sha256 as sha2::Digest>::digest(body);
    large["result_link"]["sha256"] = json!(hex::encode(digest));
    world.get(&format!("/v1/tasks/{ID}"), large).await;
    let fetched = world.run(&["result", ID]);
    assert_eq!((fetched.code, fetched.out.trim_end()), (Some(0), body));
    let requests = world.server.received_requests().await.unwrap();
    let fetch = requests
        .iter()
        .find(|request| request.url.path() == "/bucket/large")
        .unwrap();
    assert!(
        fetch.headers.get("authorization").is_none(),
        "the token only goes to the API"
    );
}

#[tokio::test]
async fn stats_workers_and_models_are_tables() {
    let world = World::new().await;
    let rates = json!({ "last_1": 64.0, "last_5": 61.4, "last_15": 58.93 });
    world
        .get(
            "/v1/stats",
            json!({
                "total": 14, "by_status": { "pending": 3, "processing": 0, "completed": 11 },
                "by_type": { "ocr": { "completed": 2 }, "sentiment": { "pending": 3, "completed": 9 } },
                "per_minute": { "submitted": rates, "finished": rates },
                "queue_wait_ms": { "p50": 41, "p95": 1_800, "count": 884 },
                "run_ms": { "p50": null, "p95": null, "count": 0 },
                "queues": [{ "name": "text-small", "visible": 3, "in_flight": 8, "delayed": 0 },
                           { "name": "text-large", "visible": 0, "in_flight": 0, "delayed": 0 }], "updated_at": null,
            }),
        )
        .await;
    world
        .get(
            "/v1/workers",
            json!({ "minutes": 60, "workers": [
                { "name": "text-worker", "function": "f", "limit": 20, "limits": { "small": 20 }, "running": 3,
                  "last_seen": ago(3), "processed": 1_204, "failed": 11, "retried": 4, "mean_batch": 6.41,
                  "cold_starts": 9 },
                { "name": "ocr-worker", "function": "g", "limit": 2, "limits": {}, "running": 0, "last_seen": null,
                  "processed": 0, "failed": 0, "retried": 0, "mean_batch": null, "cold_starts": 0 },
            ] }),
        )
        .await;
    world
        .get(
            "/v1/models",
            json!({ "models": [
                { "name": "minilm-sentiment", "version": "be82d7670691", "task_types": ["sentiment"],
                  "licence": "Apache-2.0",
                  "runs_in": "text-worker", "engine": "onnxruntime" },
                { "name": "amazon.nova-lite-v1:0", "task_types": ["translate", "summarize"],
                  "runs_in": "language-worker",
                  "engine": "bedrock" },
            ] }),
        )
        .await;
    assert_snapshot!("stats", world.run(&["stats"]).transcript());
    assert_snapshot!("workers", world.run(&["workers"]).transcript());
    assert_snapshot!("models", world.run(&["models"]).transcript());
    assert_eq!(lines(&world.run(&["models", "--json"]).out).len(), 2);
}

#[tokio::test]
async fn dead_letters_are_listed_and_redriven_page_by_page() {
    let world = World::new().await;
    let mut dead = failed(ID);
    dead["updated_at"] = json!(ago(7));
    world
        .get("/v1/dead-letters", json!({ "dead_letters": [dead] }))
        .await;
    let list = world.run(&["dead-letters", "list"]).transcript();
    assert_eq!(
        world.run(&["dead", "list"]).transcript(),
        list,
        "the old name is an alias"
    );
    assert_snapshot!("dead_letters_list", list);
    let pages = [
        json!({ "redriven": [ID], "skipped": [], "next_cursor": ID }),
        json!({ "redriven": [OTHER], "skipped": [] }),
        json!({ "redriven": [], "skipped": [OTHER] }),
    ];
    let pages = std::sync::Mutex::new(pages.into_iter());
    let page = move |_: &wiremock::Request| {
        let page = pages.lock().unwrap().next().expect("there are no more requests");
        ResponseTemplate::new(200).set_body_json(page)
    };
    world.mock("POST", "/v1/dead-letters/redrive", page).await;
    assert_snapshot!(
        "dead_letters_redrive",
        world.run(&["dead-letters", "redrive", "--all"]).transcript()
    );
    assert_snapshot!(
        "dead_letters_skipped",
        world.run(&["dead-letters", "redrive", OTHER]).transcript()
    );
    let sent = world.sent("/v1/dead-letters/redrive").await;
    assert_eq!(
        sent,
        [
            json!({ "all": true }),
            json!({ "all": true, "cursor": ID }),
            json!({ "ids": [OTHER] })
        ]
    );
}

#[tokio::test]
async fn the_flags_of_a_submission_are_sent() {
    let world = World::new().await;
    world.accept(ID, "classify").await;
    let arguments = [
        "submit",
        "classify",
        "--text",
        "a",
        "--labels",
        "x,y z",
        "--multi-label",
        "--engine",
        "llm",
        "--priority",
        "high",
        "--metadata",
        "order=4=2",
        "--max-attempts",
        "2",
        "--timeout-seconds",
        "9",
        "--idempotency-key",
        "k",
    ];
    let ended = world.run(&arguments);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (Some(0), &*format!("{ID}\n")),
        "the id is the only output"
    );
    world
        .mesh(&["submit", "sentiment", "-"])
        .write_stdin("\u{feff}from a pipe")
        .assert()
        .success();
    world.run(&[
        "submit",
        "data_extraction",
        "--text",
        "a",
        "--schema",
        "{\"n\": \"string\"}",
    ]);
    world.write("schema.json", "{\"m\": \"integer\"}");
    world.run(&[
        "submit",
        "data_extraction",
        "--text",
        "a",
        "--schema",
        "schema.json",
    ]);
    world.run(&["submit", "embed", "--text", "a", "--text", "b"]);
    world.run(&[
        "submit",
        "ocr",
        "--file",
        &world.write("x.png", "PNG").display().to_string(),
    ]);
    let inputs: Vec<_> = world.sent("/v1/tasks").await;
    assert_eq!(
        inputs[0],
        json!({ "type": "classify", "priority": "high", "metadata": { "order": "4=2" }, "max_attempts": 2,
                "timeout_seconds": 9,
                "input": { "text": "a", "labels": ["x", "y z"], "multi_label": true, "engine": "llm" } })
    );
    let inputs: Vec<_> = inputs[1..].iter().map(|body| body["input"].clone()).collect();
    assert_eq!(
        inputs,
        [
            json!({ "text": "from a pipe" }),
            json!({ "text": "a", "schema": { "n": "string" } }),
            json!({ "text": "a", "schema": { "m": "integer" } }),
            json!({ "texts": ["a", "b"] }),
            json!({ "image": "UE5H" }),
        ]
    );
    let requests = world.server.received_requests().await.unwrap();
    assert_eq!(requests[0].headers["idempotency-key"], "k");
}

#[tokio::test]
async fn a_large_file_is_uploaded() {
    let world = World::new().await;
    let upload = world.accept_uploads().await;
    world.accept(ID, "ocr").await;
    let file = world.write(
        "large.png",
        [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 5_000_000]].concat(),
    );
    let ended = world.run(&["submit", "ocr", "--file", &file.display().to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert_eq!(world.sent("/v1/uploads").await[0]["content_type"], "image/png");
    assert_eq!(
        world.sent("/v1/tasks").await[0]["input"],
        json!({ "upload": upload })
    );
}

#[tokio::test]
async fn a_closed_standard_output_is_not_a_panic() {
    let world = World::new().await;
    let tasks: Vec<_> = (0..200).map(|_| task(ID, "pending")).collect();
    let pages = json!({ "tasks": tasks, "next_cursor": "more" });
    world.get("/v1/tasks", pages).await;
    // The list only ends because the pipe is closed.
    let mut child = Command::new(env!("CARGO_BIN_EXE_mesh"))
        .args(["list", "--all", "--json"])
        .env_clear()
        .env("AI_MESH_URL", world.server.uri())
        .env("AI_MESH_TOKEN", "t")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        (ended.status.code(), ended.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[tokio::test]
async fn completions_and_help_need_no_stack() {
    let world = World::new().await;
    for (shell, word) in [
        ("bash", "_mesh()"),
        ("zsh", "#compdef mesh"),
        ("fish", "complete -c mesh"),
    ] {
        let script = crate::world::Ended::run(world.bare().args(["completions", shell]));
        assert_eq!((script.code, script.err.as_str()), (Some(0), ""));
        assert!(
            [word, "face_detection", "dead-letters"]
                .iter()
                .all(|word| script.out.contains(word)),
            "{}",
            script.out
        );
    }
    let help = crate::world::Ended::run(world.bare().arg("--help"));
    assert_snapshot!("help", help.transcript());
}

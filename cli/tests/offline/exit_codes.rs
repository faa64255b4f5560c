//! Exit codes, which scripts can branch on, and error messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::fake_api::{end, send};
use crate::world::{Ended, ID, OTHER, World, completed, eventually, failed, problem, task};

#[tokio::test]
async fn a_refusal_shows_the_api_s_message_with_flags_for_fields() {
    let world = World::new().await;
    world
        .mock(
            "POST",
            "/v1/tasks",
            problem(
                422,
                "invalid-input",
                "input.text is empty: send at least one word",
            ),
        )
        .await;
    assert_snapshot!(
        "refused",
        world.run(&["submit", "sentiment", "--text", ""]).transcript()
    );
    world
        .mock(
            "GET",
            &format!("/v1/tasks/{ID}"),
            problem(401, "unauthorized", "the token is not known here"),
        )
        .await;
    assert_eq!(world.run(&["status", ID]).code, Some(4));
}

#[tokio::test]
async fn an_unreachable_or_busy_api_and_an_unexpected_response_are_unavailable() {
    let world = World::new().await;
    let unreachable = Ended::run(world.mesh(&["list"]).env("AI_MESH_URL", "http://127.0.0.1:9"));
    assert_snapshot!("unreachable", unreachable.transcript());
    world
        .mock(
            "GET",
            "/v1/models",
            ResponseTemplate::new(502)
                .set_body_string("<html>")
                .insert_header("retry-after", "0"),
        )
        .await;
    assert_snapshot!("unexpected_response", world.run(&["models"]).transcript());
    let page = ResponseTemplate::new(200).set_body_string("<html>");
    world.mock("GET", "/v1/workers", page).await;
    let page = world.run(&["workers"]);
    assert_eq!(page.code, Some(3));
    assert!(
        page.err
            .contains("status 200 is not from the API: check the address"),
        "{}",
        page.err
    );
    let gateway = ResponseTemplate::new(413).set_body_string("<html>");
    world.mock("GET", "/v1/tasks", gateway).await;
    let large = world.run(&["list"]);
    assert_eq!(large.code, Some(4), "{}", large.transcript());
    assert!(large.err.contains("too large"), "{}", large.err);
    let busy =
        problem(503, "unavailable", "the table did not respond: try again").insert_header("retry-after", "0");
    world.mock("GET", "/v1/stats", busy).await;
    assert_snapshot!("busy", world.run(&["stats"]).transcript());
}

#[tokio::test]
async fn the_exit_code_of_a_wait_is_that_of_its_tasks() {
    let world = World::new().await;
    world.get(&format!("/v1/tasks/{ID}"), completed(ID)).await;
    world.get(&format!("/v1/tasks/{OTHER}"), failed(OTHER)).await;
    let pending = "01a21202-0000-7000-8000-000000000000";
    world
        .get(&format!("/v1/tasks/{pending}"), task(pending, "pending"))
        .await;
    let duplicate = Ended::run(world.mesh(&["wait", "-"]).write_stdin(format!("{ID}\n{ID}\n")));
    assert_eq!(
        (duplicate.code, duplicate.out.lines().count()),
        (Some(0), 1),
        "a duplicate id is reported once: {}",
        duplicate.transcript()
    );
    assert_snapshot!("wait_failed", world.run(&["wait", OTHER]).transcript());
    assert_snapshot!(
        "wait_pending",
        world.run(&["wait", pending, "--timeout", "0"]).transcript()
    );
    assert_snapshot!("result_failed", world.run(&["result", OTHER]).transcript());
    assert_snapshot!("result_pending", world.run(&["result", pending]).transcript());
    world.accept(OTHER, "sentiment").await;
    let endless = u64::MAX.to_string();
    let submit = [
        "submit",
        "sentiment",
        "--text",
        "a",
        "--wait",
        "--timeout",
        &endless,
    ];
    assert_eq!(world.run(&submit).code, Some(1));
    assert_eq!(world.run(&["wait", OTHER, "--timeout", &endless]).code, Some(1));
}

const SUBMIT: [&str; 5] = ["submit", "sentiment", "--text", "a", "--wait"];

/// Mocks a GET, and counts its requests.
async fn counted(world: &World, at: &str, response: ResponseTemplate) -> Arc<AtomicUsize> {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let count = move |_: &Request| {
        counter.fetch_add(1, Ordering::SeqCst);
        response.clone()
    };
    world.mock("GET", at, count).await;
    requests
}

#[tokio::test]
async fn a_submission_whose_wait_is_interrupted_prints_its_id() {
    let world = World::new().await;
    world.accept(ID, "sentiment").await;
    let at = format!("/v1/tasks/{ID}");
    let endless = ResponseTemplate::new(200).set_delay(Duration::from_secs(300));
    let requests = counted(&world, &at, endless).await;
    for (before, (signal, code)) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)]
        .into_iter()
        .enumerate()
    {
        let submit = world.start(&SUBMIT);
        eventually("it waits", || requests.load(Ordering::SeqCst) > before).await;
        let message = end(submit, signal, code);
        assert!(message.contains(&format!("mesh wait {ID}")), "{message}");
    }

    world.server.reset().await;
    world.accept(ID, "sentiment").await;
    world.mock("GET", &at, ResponseTemplate::new(403)).await;
    let refused = world.run(&SUBMIT);
    assert_eq!(refused.code, Some(3), "{}", refused.transcript());
    assert!(
        refused.err.contains(&format!("mesh wait {ID}")),
        "{}",
        refused.err
    );
    assert_eq!(
        world.run_with_closed_stderr(&SUBMIT),
        Some(3),
        "a closed standard error does not change the exit code"
    );
}

#[tokio::test]
async fn a_wait_under_nohup_survives_its_terminal() {
    let world = World::new().await;
    world.accept(ID, "sentiment").await;
    let pending = ResponseTemplate::new(200)
        .set_body_json(task(ID, "pending"))
        .set_delay(Duration::from_millis(20));
    let requests = counted(&world, &format!("/v1/tasks/{ID}"), pending).await;
    let arguments = [&[env!("CARGO_BIN_EXE_mesh")][..], &SUBMIT].concat();
    let wait = world.start_by("nohup", &arguments, std::process::Stdio::piped());
    eventually("it waits", || requests.load(Ordering::SeqCst) > 0).await;
    send(&wait, Signal::HUP);
    let before = requests.load(Ordering::SeqCst);
    eventually("it still waits", || requests.load(Ordering::SeqCst) > before + 2).await;
    end(wait, Signal::TERM, 143);
}

#[tokio::test]
async fn an_error_for_one_task_does_not_stop_the_others() {
    let world = World::new().await;
    let final_ = problem(
        409,
        "task-is-final",
        "the task is completed: only what is not final can be cancelled",
    );
    world
        .mock("POST", &format!("/v1/tasks/{ID}/cancel"), final_)
        .await;
    let cancelled = ResponseTemplate::new(200).set_body_json(task(OTHER, "cancelled"));
    world
        .mock("POST", &format!("/v1/tasks/{OTHER}/cancel"), cancelled)
        .await;
    assert_snapshot!("cancel", world.run(&["cancel", ID, OTHER]).transcript());
}

#[tokio::test]
async fn an_invalid_command_line_is_a_usage_error_with_a_message() {
    let world = World::new().await;
    let image = image::RgbImage::new(2, 2);
    image.save(world.folder.path().join("a.png")).unwrap();
    for arguments in [
        &["submit", "telepathy", "--text", "a"][..],
        &["submit", "sentiment"],
        &["submit", "sentiment", "--text", "a", "--text", "b"],
        &["submit", "sentiment", "--file", "no-such-file"],
        &["submit", "sentiment", "--text", "a", "--metadata", "a"],
        &["submit", "data_extraction", "--text", "a", "--schema", "{"],
        &["submit", "sentiment", "--file", "a.txt", "--annotate", "a.png"],
        &["status", "42"],
        &["wait", "42"],
        &["list", "--since", "yesterday"],
        &["list", "--limit", "0"],
        &[
            "submit",
            "ocr",
            "--file",
            "a.png",
            "--annotate",
            "no-such-folder/a.png",
        ],
        &["dead-letters", "redrive"],
        &["batch", "no-such-file.csv"],
        &["batch", "-"],
    ] {
        let ended = world.run(arguments);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(2), ""),
            "{arguments:?} {}",
            ended.transcript()
        );
        assert!(!ended.err.is_empty(), "{arguments:?}");
    }
    assert!(
        world.server.received_requests().await.unwrap().is_empty(),
        "nothing was sent"
    );
}

async fn healthy(world: &World) {
    let deep = json!({ "status": "ok", "checks": [{ "name": "table", "ok": true, "latency_ms": 7 }] });
    world.get("/health", deep).await;
    world
        .get(
            "/openapi.json",
            json!({ "info": { "version": env!("CARGO_PKG_VERSION") } }),
        )
        .await;
}

fn checks(ended: &Ended) -> Vec<(String, bool)> {
    let lines = ended
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("the line is JSON"));
    lines
        .map(|line| {
            (
                line["check"].as_str().unwrap_or_default().to_owned(),
                line["ok"] == true,
            )
        })
        .collect()
}

#[tokio::test]
async fn doctor_finds_nothing_wrong_with_a_healthy_stack() {
    let world = World::new().await;
    healthy(&world).await;
    let ended = world.run(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let names = ["address", "reached", "clock", "version", "token", "stack"];
    assert_eq!(checks(&ended), names.map(|name| (name.to_owned(), true)));
}

#[tokio::test]
async fn doctor_says_what_is_wrong_and_what_to_do() {
    let skewed = World::new().await;
    let health = json!({ "status": "failing", "checks": [
        { "name": "table", "ok": true, "latency_ms": 7 },
        { "name": "text-small-queue", "ok": false, "latency_ms": 5_000, "error": "AccessDenied" },
    ] });
    let health = ResponseTemplate::new(503)
        .set_body_json(health)
        .insert_header("date", "Sat, 31 Jan 2026 12:00:00 GMT");
    skewed.mock("GET", "/health", health).await;
    skewed
        .get("/openapi.json", json!({ "info": { "version": "99.0.0" } }))
        .await;
    let ended = skewed.run(&["doctor"]);
    assert_eq!(
        ended.code,
        Some(1),
        "the exit code of the first failure: {}",
        ended.transcript()
    );
    for message in [
        "synchronize it with NTP",
        "the API is 99.0.0",
        "text-small-queue: AccessDenied",
    ] {
        assert!(ended.out.contains(message), "{}", ended.transcript());
    }

    let other = World::new().await;
    other
        .mock(
            "GET",
            "/health",
            ResponseTemplate::new(200).set_body_string("<html>"),
        )
        .await;
    assert_eq!(other.run(&["doctor"]).code, Some(3));

    let unreachable = Ended::run(other.mesh(&["doctor"]).env("AI_MESH_URL", "http://127.0.0.1:9"));
    assert_eq!(unreachable.code, Some(3));
    assert!(
        unreachable.out.contains("check the address"),
        "{}",
        unreachable.transcript()
    );
    let unset = Ended::run(other.bare().arg("doctor"));
    assert_eq!(unset.code, Some(2));
    assert!(unset.out.contains("set AI_MESH_URL"), "{}", unset.transcript());
}

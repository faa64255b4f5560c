//! How it ends: exit codes that scripts can branch on, and what is said to the person.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::keeping::{end, send};
use crate::world::{Ended, ID, OTHER, World, completed, eventually, failed, problem, task};

#[tokio::test]
async fn a_refusal_is_told_in_the_api_s_own_words() {
    let world = World::new().await;
    world
        .answer(
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
        world.run(&["submit", "sentiment", "--text", ""]).told()
    );
    world
        .answer(
            "GET",
            &format!("/v1/tasks/{ID}"),
            problem(401, "unauthorized", "the token is not known here"),
        )
        .await;
    assert_eq!(world.run(&["status", ID]).code, Some(4));
}

#[tokio::test]
async fn nobody_a_stranger_and_a_busy_api_are_unavailable() {
    let world = World::new().await;
    let nobody = Ended::of(world.mesh(&["list"]).env("AI_MESH_URL", "http://127.0.0.1:9"));
    assert_snapshot!("nobody", nobody.told());
    world
        .answer(
            "GET",
            "/v1/models",
            ResponseTemplate::new(502)
                .set_body_string("<html>")
                .insert_header("retry-after", "0"),
        )
        .await;
    assert_snapshot!("stranger", world.run(&["models"]).told());
    let page = ResponseTemplate::new(200).set_body_string("<html>");
    world.answer("GET", "/v1/workers", page).await;
    let page = world.run(&["workers"]);
    assert_eq!(page.code, Some(3));
    assert!(
        page.err
            .contains("status 200 is none of the API's: check the address"),
        "{}",
        page.err
    );
    let gateway = ResponseTemplate::new(413).set_body_string("<html>");
    world.answer("GET", "/v1/tasks", gateway).await;
    let large = world.run(&["list"]);
    assert_eq!(large.code, Some(4), "{}", large.told());
    assert!(large.err.contains("too large"), "{}", large.err);
    let busy =
        problem(503, "unavailable", "the table did not answer: try again").insert_header("retry-after", "0");
    world.answer("GET", "/v1/stats", busy).await;
    assert_snapshot!("busy", world.run(&["stats"]).told());
}

#[tokio::test]
async fn a_wait_ends_as_its_tasks_do() {
    let world = World::new().await;
    world.get(&format!("/v1/tasks/{ID}"), completed(ID)).await;
    world.get(&format!("/v1/tasks/{OTHER}"), failed(OTHER)).await;
    let pending = "01a21202-0000-7000-8000-000000000000";
    world
        .get(&format!("/v1/tasks/{pending}"), task(pending, "pending"))
        .await;
    let fine = Ended::of(world.mesh(&["wait", "-"]).write_stdin(format!("{ID}\n{ID}\n")));
    assert_eq!(
        (fine.code, fine.out.lines().count()),
        (Some(0), 1),
        "an id that is given twice is told once: {}",
        fine.told()
    );
    assert_snapshot!("wait_failed", world.run(&["wait", OTHER]).told());
    assert_snapshot!(
        "wait_pending",
        world.run(&["wait", pending, "--timeout", "0"]).told()
    );
    assert_snapshot!("result_failed", world.run(&["result", OTHER]).told());
    assert_snapshot!("result_pending", world.run(&["result", pending]).told());
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

/// Answers what is asked of there, and counts how often that is.
async fn counted(world: &World, at: &str, answer: ResponseTemplate) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let known = Arc::clone(&asked);
    let count = move |_: &Request| {
        known.fetch_add(1, Ordering::SeqCst);
        answer.clone()
    };
    world.answer("GET", at, count).await;
    asked
}

#[tokio::test]
async fn a_submission_whose_wait_is_cut_short_tells_its_id() {
    let world = World::new().await;
    world.accept(ID, "sentiment").await;
    let at = format!("/v1/tasks/{ID}");
    let endless = ResponseTemplate::new(200).set_delay(Duration::from_secs(300));
    let asked = counted(&world, &at, endless).await;
    for (before, (signal, code)) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)]
        .into_iter()
        .enumerate()
    {
        let submit = world.start(&SUBMIT);
        eventually("it waits", || asked.load(Ordering::SeqCst) > before).await;
        let told = end(submit, signal, code);
        assert!(told.contains(&format!("mesh wait {ID}")), "{told}");
    }

    world.server.reset().await;
    world.accept(ID, "sentiment").await;
    world.answer("GET", &at, ResponseTemplate::new(403)).await;
    let cut = world.run(&SUBMIT);
    assert_eq!(cut.code, Some(3), "{}", cut.told());
    assert!(cut.err.contains(&format!("mesh wait {ID}")), "{}", cut.err);
    assert_eq!(
        world.run_unheard(&SUBMIT),
        Some(3),
        "that nobody listens makes it no success"
    );
}

#[tokio::test]
async fn a_wait_under_nohup_outlives_its_terminal() {
    let world = World::new().await;
    world.accept(ID, "sentiment").await;
    let pending = ResponseTemplate::new(200)
        .set_body_json(task(ID, "pending"))
        .set_delay(Duration::from_millis(20));
    let asked = counted(&world, &format!("/v1/tasks/{ID}"), pending).await;
    let arguments = [&[env!("CARGO_BIN_EXE_mesh")][..], &SUBMIT].concat();
    let wait = world.start_by("nohup", &arguments, std::process::Stdio::piped());
    eventually("it waits", || asked.load(Ordering::SeqCst) > 0).await;
    send(&wait, Signal::HUP);
    let before = asked.load(Ordering::SeqCst);
    eventually("it waits on", || asked.load(Ordering::SeqCst) > before + 2).await;
    end(wait, Signal::TERM, 143);
}

#[tokio::test]
async fn what_can_t_be_done_to_one_task_does_not_hold_up_the_next() {
    let world = World::new().await;
    let final_ = problem(
        409,
        "task-is-final",
        "the task is completed: only what is not final can be cancelled",
    );
    world
        .answer("POST", &format!("/v1/tasks/{ID}/cancel"), final_)
        .await;
    let cancelled = ResponseTemplate::new(200).set_body_json(task(OTHER, "cancelled"));
    world
        .answer("POST", &format!("/v1/tasks/{OTHER}/cancel"), cancelled)
        .await;
    assert_snapshot!("cancel", world.run(&["cancel", ID, OTHER]).told());
}

#[tokio::test]
async fn a_command_line_that_is_none_says_what_to_write() {
    let world = World::new().await;
    let picture = image::RgbImage::new(2, 2);
    picture.save(world.folder.path().join("a.png")).unwrap();
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
        &["dead", "redrive"],
        &["batch", "no-such-file.csv"],
        &["batch", "-"],
    ] {
        let ended = world.run(arguments);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(2), ""),
            "{arguments:?} {}",
            ended.told()
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
        .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
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
async fn a_doctor_finds_a_sound_stack_sound() {
    let world = World::new().await;
    healthy(&world).await;
    let ended = world.run(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    let names = ["address", "reached", "clock", "version", "token", "stack"];
    assert_eq!(checks(&ended), names.map(|name| (name.to_owned(), true)));
}

#[tokio::test]
async fn a_doctor_says_what_is_wrong_and_what_to_do() {
    let skewed = World::new().await;
    let health = json!({ "status": "failing", "checks": [
        { "name": "table", "ok": true, "latency_ms": 7 },
        { "name": "text-small-queue", "ok": false, "latency_ms": 5_000, "error": "AccessDenied" },
    ] });
    let health = ResponseTemplate::new(503)
        .set_body_json(health)
        .insert_header("date", "Sat, 31 Jan 2026 12:00:00 GMT");
    skewed.answer("GET", "/health", health).await;
    skewed
        .get("/openapi.json", json!({ "info": { "version": "99.0.0" } }))
        .await;
    let ended = skewed.run(&["doctor"]);
    assert_eq!(ended.code, Some(1), "as the first that failed: {}", ended.told());
    for told in [
        "let NTP set it",
        "the API is 99.0.0",
        "text-small-queue: AccessDenied",
    ] {
        assert!(ended.out.contains(told), "{}", ended.told());
    }

    let stranger = World::new().await;
    stranger
        .answer(
            "GET",
            "/health",
            ResponseTemplate::new(200).set_body_string("<html>"),
        )
        .await;
    assert_eq!(stranger.run(&["doctor"]).code, Some(3));

    let nobody = Ended::of(
        stranger
            .mesh(&["doctor"])
            .env("AI_MESH_URL", "http://127.0.0.1:9"),
    );
    assert_eq!(nobody.code, Some(3));
    assert!(nobody.out.contains("is the stack up"), "{}", nobody.told());
    let unset = Ended::of(stranger.bare().arg("doctor"));
    assert_eq!(unset.code, Some(2));
    assert!(unset.out.contains("set AI_MESH_URL"), "{}", unset.told());
}

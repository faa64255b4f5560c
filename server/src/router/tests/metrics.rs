//! `GET /metrics`, and the activity of workers.

use std::collections::BTreeMap;

use mesh_task::{RunError, Settlement, WorkerKind};
use serde_json::json;

use super::*;

const PAGE: &str = include_str!("../../../../docs/EMBEDDED.md");
const TOKEN_HEADER: [(&str, &str); 1] = [("authorization", "Bearer a-token")];

async fn scrape(server: &Server) -> String {
    let response = server.send(get("/metrics", &TOKEN_HEADER)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn submit(server: &Server) -> String {
    let task = json!({ "type": "sentiment", "input": { "text": "fine" } });
    let (status, accepted) = server.answer(post("/v1/tasks", &TOKEN_HEADER, &task)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    accepted["id"].as_str().unwrap().to_owned()
}

/// Counts the changes that were made since, as the reactor does.
async fn count_changes(server: &Server) {
    let records = server.embedded.uncounted(100).await.unwrap();
    let counters = server.embedded.counters();
    mesh_reactor::follow(&*counters, &*server.metrics, records)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_need_the_token() {
    let server = Server::start(&["--compat"]);
    for headers in [&[][..], &[("authorization", "Bearer wrong")]] {
        let (status, problem) = server.answer(get("/metrics", headers)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{problem}");
        assert_eq!(problem["type"], "urn:ai-mesh:problem:unauthorized");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_tasks_and_requests_are_counted() {
    let server = Server::start(&[]);
    let id = submit(&server).await;
    submit(&server).await;
    server.answer(get("/nowhere/1", &[])).await;
    server
        .answer(
            request(Method::from_bytes(b"BREW").unwrap(), "/metrics", &[])
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    let cancel = format!("/v1/tasks/{id}/cancel");
    let (status, _) = server.answer(post(&cancel, &TOKEN_HEADER, &json!({}))).await;
    assert_eq!(status, StatusCode::OK);
    count_changes(&server).await;
    let text = scrape(&server).await;
    for line in [
        r#"ai_mesh_queue_messages{lane="text-small",state="visible"} 2"#,
        r#"ai_mesh_queue_messages{lane="audio-low",state="visible"} 0"#,
        r#"ai_mesh_queue_messages{lane="dead-letters",state="visible"} 0"#,
        r#"ai_mesh_queue_oldest_age_seconds{lane="audio-low"} 0"#,
        r#"ai_mesh_tasks_running{worker="text"} 0"#,
        r#"ai_mesh_tasks_ended_total{type="sentiment",outcome="cancelled"} 1"#,
        r#"ai_mesh_http_request_duration_seconds_count{route="POST /v1/tasks",status="202"} 2"#,
        r#"ai_mesh_http_request_duration_seconds_count{route="none",status="404"} 1"#,
        r#"ai_mesh_http_request_duration_seconds_count{route="none",status="401"} 1"#,
    ] {
        assert!(
            text.lines().any(|known| known == line),
            "{line} is not in\n{text}"
        );
    }
    assert!(!text.contains("nowhere") && !text.contains("BREW"), "{text}");
    assert!(text.contains("process_resident_memory_bytes ") && text.contains("process_start_time_seconds "));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_documents_every_metric_with_its_type_and_no_other() {
    let server = Server::start(&[]);
    server.answer(get("/health", &[])).await;
    let text = scrape(&server).await;
    let kinds = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let rows = PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let name = cells.next()?.trim().trim_end_matches('`');
        let is_metric = name.starts_with("ai_mesh_") || name.starts_with("process_");
        is_metric.then_some((name, cells.next()?.trim()))
    });
    assert_eq!(
        rows.collect::<BTreeMap<_, _>>(),
        kinds.collect::<BTreeMap<_, _>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_show_what_they_did() {
    let server = Server::start(&[]);
    let failed = Settlement::Failed {
        failure: RunError::timeout().into_failure(mesh_task::FailureKind::Permanent),
        outcome: mesh_task::Outcome::Permanent,
    };
    server.metrics.models_loaded(WorkerKind::Text);
    let batches = server.metrics.batches(WorkerKind::Text);
    batches.received(3);
    batches.settled(&failed);
    server.metrics.batch_ended(WorkerKind::Text);
    let (status, list) = server.answer(get("/v1/workers", &TOKEN_HEADER)).await;
    assert_eq!(status, StatusCode::OK);
    let workers = list["workers"].as_array().unwrap();
    let text = workers
        .iter()
        .find(|worker| worker["name"] == "text-worker")
        .unwrap();
    assert_eq!(
        (
            &text["processed"],
            &text["failed"],
            &text["mean_batch"],
            &text["cold_starts"]
        ),
        (&json!(1), &json!(1), &json!(3.0), &json!(1)),
        "{text}"
    );
    assert!(text["last_seen"].is_string(), "{text}");
    let others = workers.iter().filter(|worker| worker["name"] != "text-worker");
    assert!(
        others.into_iter().all(|worker| worker["processed"] == 0),
        "{list}"
    );
}

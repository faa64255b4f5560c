//! Pages of dead letters and redrives of many, by the calls that the table receives.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use mesh_aws::testing::{item, requests};
use mesh_task::{FailureKind, RunError, Status, testing};
use serde_json::{Value, json};
use tower::ServiceExt;
use wiremock::matchers::{any, header_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::router::tests::{TOKEN, state};

/// Lambda takes an answer of 6 MB, which contains the body as a string.
const MAX_LAMBDA_ANSWER: usize = 6_000_000;

/// Dead letters with this input, newest first.
fn dead_letters(count: u16, input: &Value) -> Vec<Task> {
    let first = TaskId::generate();
    let dead_letter = |n| {
        let mut task = testing::task_with(TaskType::Classify, input.clone()).0;
        task.id = first.plus(count - n);
        task.status = Status::Failed;
        task.error = Some(RunError::timeout().into_failure(FailureKind::Timeout));
        task
    };
    (0..count).map(dead_letter).collect()
}

fn json_answer(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.0")
}

/// A table that contains these tasks, and applies each write.
async fn table(tasks: &[Task]) -> MockServer {
    let server = MockServer::start().await;
    let keys: Vec<_> = tasks.iter().map(|task| task.id).collect();
    let failed = move |request: &wiremock::Request| {
        let body: Value = request.body_json().unwrap();
        let partition = &body["ExpressionAttributeValues"][":partition"]["S"];
        let in_shard = keys
            .iter()
            .filter(|id| *partition == id.shard().partition(&Tenant::first()));
        let items: Vec<_> = in_shard
            .map(|id| item(&json!({ "id": id, "tenant_shard": partition })))
            .collect();
        json_answer(&json!({ "Items": items }))
    };
    let items: BTreeMap<_, _> = tasks
        .iter()
        .map(|task| (task.id.to_string(), item(&serde_json::to_value(task).unwrap())))
        .collect();
    let of_key = move |key: &Value| items[key["id"]["S"].as_str().unwrap()].clone();
    let written = {
        let of_key = of_key.clone();
        move |request: &wiremock::Request| {
            let body: Value = request.body_json().unwrap();
            json_answer(&json!({ "Attributes": of_key(&body["Key"]) }))
        }
    };
    let read = move |request: &wiremock::Request| {
        let body: Value = request.body_json().unwrap();
        let keys = body["RequestItems"]["tasks"]["Keys"].as_array().unwrap();
        let found: Vec<_> = keys.iter().map(&of_key).collect();
        json_answer(&json!({ "Responses": { "tasks": found } }))
    };
    for (operation, answer) in [
        ("Query$", Box::new(failed) as Box<dyn wiremock::Respond>),
        ("BatchGetItem$", Box::new(read)),
        ("UpdateItem$", Box::new(written)),
    ] {
        Mock::given(header_regex("x-amz-target", operation))
            .respond_with(move |request: &wiremock::Request| answer.respond(request))
            .mount(&server)
            .await;
    }
    let sent = json!({ "Successful": [], "Failed": [] });
    Mock::given(any())
        .respond_with(json_answer(&sent))
        .mount(&server)
        .await;
    server
}

async fn send(server: &MockServer, request: Request<Body>) -> (Value, usize) {
    let response = crate::router(state(server)).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let answer = serde_json::to_string(std::str::from_utf8(&body).unwrap()).unwrap();
    (serde_json::from_slice(&body).unwrap(), answer.len())
}

/// How many tasks each read asks for.
async fn reads(server: &MockServer) -> Vec<usize> {
    let requests = requests(server).await;
    let keys = requests
        .iter()
        .filter_map(|request| request["RequestItems"]["tasks"]["Keys"].as_array());
    keys.map(Vec::len).collect()
}

#[tokio::test]
async fn a_page_ends_where_the_answer_is_full_and_goes_on_with_its_cursor() {
    // In an answer of Lambda such a label has 1,300 bytes.
    let labels: Vec<_> = (0..100)
        .map(|n| format!("{n:03}{}", "\u{1}".repeat(190)))
        .collect();
    let tasks = dead_letters(48, &json!({ "text": "fine", "labels": labels }));
    let server = table(&tasks).await;
    let list = Request::get("/v1/dead-letters?limit=48").header("x-service-token", TOKEN);
    let (page, bytes) = send(&server, list.body(Body::empty()).unwrap()).await;
    assert!(bytes < MAX_LAMBDA_ANSWER, "{bytes}");
    let listed = page["dead_letters"].as_array().unwrap();
    assert!((20..48).contains(&listed.len()), "{}", listed.len());
    for (listed, task) in listed.iter().zip(&tasks) {
        assert_eq!(listed["id"], task.id.to_string());
    }
    assert_eq!(page["next_cursor"], listed[listed.len() - 1]["id"]);
    assert!(reads(&server).await.iter().all(|&tasks| tasks <= 10));
}

#[tokio::test]
async fn many_tasks_are_redriven_ten_at_a_time() {
    let tasks = dead_letters(25, &json!({ "text": "fine" }));
    let server = table(&tasks).await;
    let redrive = Request::post("/v1/dead-letters/redrive")
        .header("x-service-token", TOKEN)
        .header("content-type", "application/json");
    let (answer, _) = send(&server, redrive.body(Body::from(r#"{"all": true}"#)).unwrap()).await;
    assert_eq!(answer["redriven"].as_array().unwrap().len(), 25);
    assert_eq!(reads(&server).await, [10, 10, 5]);
}

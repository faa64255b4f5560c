use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use mesh_aws::testing::{answer, config};
use mesh_aws::{Metrics, Payloads, SqsQueue, StatsTable, TaskTable};
use mesh_backend::Queues;
use mesh_http::Problem;
use mesh_task::{RetryPolicies, RetryPolicy, SweepPolicy, WorkerKind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use wiremock::MockServer;

use crate::state::{ApiState, ModelSettings, WorkerFunction, Workers};

pub(crate) const TOKEN: &str = "a-token";

/// The API, with a scripted server in place of AWS.
fn api(server: &MockServer) -> Router {
    crate::router(state(server))
}

/// What the API works with, with a scripted server in place of AWS.
pub(crate) fn state(server: &MockServer) -> ApiState {
    let config = config(server);
    let function = |worker_kind: WorkerKind| WorkerFunction {
        worker_kind,
        name: format!("{}-worker", worker_kind.as_str()),
        limits: [("small", 2)].into(),
    };
    let general = RetryPolicy {
        max_attempts: 3,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
    };
    ApiState {
        tasks: Arc::new(TaskTable::new(&config, "tasks".to_owned())),
        counters: Arc::new(StatsTable::new(&config, "stats".to_owned())),
        payloads: Arc::new(Payloads::new(&config, "payloads".to_owned())),
        queues: Queues::new(SqsQueue::with_url(&config, format!("{}/queue", server.uri())), []),
        token: hex::encode(Sha256::digest(TOKEN)).parse().unwrap(),
        compat_tenant: None,
        origin: None,
        events: None,
        retention: Duration::from_hours(24),
        policies: RetryPolicies {
            general,
            own: Default::default(),
        },
        sweep_policy: SweepPolicy {
            due_after: Duration::from_mins(1),
        },
        models: ModelSettings {
            speech: "base".to_owned(),
            provider: "none".to_owned(),
            language: String::new(),
        },
        workers: Workers::new(Arc::new(Metrics::new(&config)), WorkerKind::ALL.map(function)),
        dashboard: None,
    }
}

async fn send(api: Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = api.oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn post(path: &str, body: &Value) -> Request<Body> {
    let request = Request::post(path).header("x-service-token", TOKEN);
    let request = request.header(CONTENT_TYPE, "application/json");
    request.body(Body::from(body.to_string())).unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// The names of the operations that AWS was called for, in order.
async fn calls(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let target = |request: &wiremock::Request| {
        let target = request.headers["x-amz-target"].to_str().unwrap().to_owned();
        target.rsplit('.').next().unwrap().to_owned()
    };
    requests.iter().map(target).collect()
}

/// The OpenAPI document, as the router serves it.
pub(crate) async fn served_document() -> Value {
    let server = MockServer::start().await;
    let (status, document) = send(api(&server), get("/openapi.json")).await;
    assert_eq!(status, StatusCode::OK);
    document
}

#[tokio::test]
async fn an_unknown_route_is_404_with_a_problem() {
    let server = MockServer::start().await;
    let (status, problem) = send(api(&server), get("/nowhere")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(problem["type"], "urn:ai-mesh:problem:route-not-found");
    let (status, problem) = send(
        api(&server),
        Request::delete("/health").body(Body::empty()).unwrap(),
    )
    .await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(problem["type"], "urn:ai-mesh:problem:method-not-allowed");
}

#[tokio::test]
async fn every_route_below_v1_requires_the_token() {
    let server = MockServer::start().await;
    let api = api(&server);
    let document = served_document().await;
    let paths = document["paths"].as_object().unwrap();
    let mut requests = vec![(Method::GET, "/v1/nowhere".to_owned())];
    for (path, operations) in paths.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for method in operations.as_object().unwrap().keys() {
            requests.push((method.to_uppercase().parse().unwrap(), path.replace("{id}", "7")));
        }
    }
    assert!(requests.len() > 13, "{requests:?}");
    for (method, path) in requests {
        for token in [None, Some("wrong")] {
            let mut request = Request::builder().method(&method).uri(&path);
            if let Some(token) = token {
                request = request.header("x-service-token", token);
            }
            let (status, problem) = send(api.clone(), request.body(Body::empty()).unwrap()).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(problem["type"], "urn:ai-mesh:problem:unauthorized");
        }
    }
    assert!(calls(&server).await.is_empty());
}

#[tokio::test]
async fn the_pages_need_no_token() {
    let server = MockServer::start().await;
    for path in [
        "/docs",
        "/docs/page.js",
        "/docs/page.css",
        "/openapi.json",
        "/health",
    ] {
        let (status, _) = send(api(&server), get(path)).await;
        assert_eq!(status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn each_way_to_submit_writes_the_task_then_sends_its_message() {
    let task = json!({ "type": "sentiment", "input": { "text": "fine" } });
    let simple = json!({ "type": "text", "data": "fine" });
    let platform = json!({ "task_type": "summarize", "input": { "text": "It is fine." } });
    for (path, body, id, written, sent) in [
        ("/v1/tasks", task.clone(), "/id", "PutItem", "SendMessage"),
        (
            "/v1/tasks/batch",
            json!({ "tasks": [task] }),
            "/results/0/task/id",
            "BatchWriteItem",
            "SendMessageBatch",
        ),
        ("/submit", simple.clone(), "/task_id", "PutItem", "SendMessage"),
        ("/task", simple, "/task_id", "PutItem", "SendMessage"),
        ("/api/v1/tasks", platform, "/id", "PutItem", "SendMessage"),
    ] {
        let server = MockServer::start().await;
        answer(&server, written, json!({})).await;
        let sent_one = json!({ "MessageId": "1", "Successful": [], "Failed": [] });
        answer(&server, sent, sent_one).await;
        let (status, accepted) = send(api(&server), post(path, &body)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{path}: {accepted}");
        assert_eq!(calls(&server).await, [written, sent], "{path}");
        let id = accepted.pointer(id).and_then(Value::as_str).unwrap();
        for request in server.received_requests().await.unwrap() {
            let body = String::from_utf8(request.body).unwrap();
            assert!(body.contains(id), "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn an_entry_of_a_batch_that_cannot_be_read_is_refused_by_itself() {
    let server = MockServer::start().await;
    answer(&server, "BatchWriteItem", json!({})).await;
    answer(
        &server,
        "SendMessageBatch",
        json!({ "Successful": [], "Failed": [] }),
    )
    .await;
    let body = r#"{"tasks": [
        {"type": "sentiment", "input": {"text": "cut \ud83d"}},
        {"type": "sentiment", "input": {"text": "fine"}, "timeout_seconds": 1e999},
        {"type": "sentiment", "input": {"text": "fine"}, "type": "ocr"},
        {"type": "sentiment", "input": {"text": "fine"}, "max_attempts": 3.0, "timeout_seconds": 6e1},
        {"type": "sentiment", "input": {"text": "fine"}, "metadata": {"\ude00": ""}}
    ]}"#;
    let mut request = post("/v1/tasks/batch", &json!(null));
    *request.body_mut() = Body::from(body);
    let (status, outcome) = send(api(&server), request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{outcome}");
    let results = outcome["results"].as_array().unwrap();
    let statuses: Vec<_> = results
        .iter()
        .filter_map(|result| result["status"].as_u64())
        .collect();
    assert_eq!(statuses, [422, 422, 422, 202, 422]);
    for (place, name) in [
        (0, "input.text "),
        (1, "timeout_seconds "),
        (2, "type is given twice"),
        (4, "metadata "),
    ] {
        let detail = results[place]["problem"]["detail"].as_str().unwrap();
        assert!(detail.starts_with(name), "{detail}");
    }
}

#[tokio::test]
async fn a_value_that_is_not_accepted_is_refused_on_every_route_with_a_body() {
    let server = MockServer::start().await;
    for path in [
        "/v1/tasks",
        "/v1/uploads",
        "/v1/dead-letters/redrive",
        "/submit",
        "/submit-task",
        "/task",
        "/jobs",
        "/api/v1/tasks",
    ] {
        let mut request = post(path, &json!(null));
        *request.body_mut() = Body::from(r#"{"a": 1, "a": 2}"#);
        let (status, problem) = send(api(&server), request).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(problem["type"], "urn:ai-mesh:problem:invalid-body", "{path}");
    }
    assert!(calls(&server).await.is_empty());
}

#[tokio::test]
async fn a_form_with_two_files_is_refused() {
    let server = MockServer::start().await;
    let part = |name: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nfine\r\n");
    for names in [["file", "file"], ["file", "text"], ["type", "task_type"]] {
        let mut request = post("/enqueue", &json!(null));
        request
            .headers_mut()
            .insert(CONTENT_TYPE, "multipart/form-data; boundary=x".parse().unwrap());
        *request.body_mut() = Body::from(names.map(part).concat() + "--x--\r\n");
        let (status, problem) = send(api(&server), request).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(names[1]),
            "{problem}"
        );
    }
    assert!(calls(&server).await.is_empty());
}

#[tokio::test]
async fn what_the_host_refused_is_answered_with_a_problem() {
    let server = MockServer::start().await;
    let mut request = get("/-");
    request.extensions_mut().insert(Problem::invalid_request("no"));
    let (status, problem) = send(api(&server), request).await;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::BAD_REQUEST, &json!("no"))
    );
}

#[tokio::test]
async fn a_refused_submission_calls_nothing() {
    let server = MockServer::start().await;
    let body = json!({ "type": "poem", "input": {} });
    let (status, problem) = send(api(&server), post("/v1/tasks", &body)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:ai-mesh:problem:unknown-task-type");
    assert!(calls(&server).await.is_empty());
}

//! The client against a mock API: what it sends, how it reads responses, and when it retries.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mesh_client::{Client, Error, Filter, RedriveTarget, Source, Submission};
use mesh_task::{Parameters, Status, TaskId, TaskResult, TaskType};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

fn problem(status: u16, slug: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({
        "type": format!("urn:ai-mesh:problem:{slug}"), "title": "Refused", "status": status, "detail": "do otherwise",
        "request_id": "r-1",
    }))
}

fn accepted(id: TaskId) -> Value {
    json!({ "id": id, "type": "sentiment", "status": "pending", "links": { "self": "/", "wait": "/" } })
}

fn task(id: TaskId, status: &str) -> Value {
    json!({
        "id": id, "type": "sentiment", "size": "small", "priority": "normal", "status": status,
        "input": { "text": "fine" }, "metadata": {}, "generation": 1, "attempt": 1, "max_attempts": 3,
        "correlation_id": "c", "attempts": [], "created_at": "2026-01-31T12:00:00.123Z",
        "updated_at": "2026-01-31T12:00:00.456Z", "unknown": true,
    })
}

fn submission() -> Submission {
    Submission::new(&Parameters::Sentiment, &Source::Text("fine".to_owned()))
}

async fn client(server: &MockServer) -> Client {
    Client::new(&server.uri(), "secret").expect("the address is valid")
}

async fn idempotency_keys(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap_or_default();
    let key = |request: &Request| {
        let key = request.headers.get("idempotency-key");
        key.and_then(|key| key.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    requests.iter().map(key).collect()
}

#[tokio::test]
async fn each_submission_has_the_token_and_a_new_idempotency_key() {
    let server = MockServer::start().await;
    let id = TaskId::generate();
    Mock::given(method("POST"))
        .and(path("/v1/tasks"))
        .and(header("authorization", "Bearer secret"))
        .and(header("content-type", "application/json"))
        .and(header_exists("idempotency-key"))
        .and(body_json(
            json!({ "type": "sentiment", "input": { "text": "fine" }, "priority": "normal" }),
        ))
        .respond_with(ResponseTemplate::new(202).set_body_json(accepted(id)))
        .expect(2)
        .mount(&server)
        .await;
    let client = client(&server).await;
    assert_eq!(client.submit(&submission()).await.unwrap().id, id);
    client.submit(&submission()).await.unwrap();
    let keys = idempotency_keys(&server).await;
    assert!(!keys[0].is_empty());
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_submission_to_a_busy_api_is_retried_after_its_retry_after_with_the_same_key() {
    let check = async |status| {
        let server = MockServer::start().await;
        let id = TaskId::generate();
        Mock::given(method("POST"))
            .respond_with(problem(status, "unavailable").insert_header("retry-after", "1"))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(202).set_body_json(accepted(id)))
            .mount(&server)
            .await;
        let started = Instant::now();
        assert_eq!(client(&server).await.submit(&submission()).await.unwrap().id, id);
        assert!(started.elapsed() >= Duration::from_secs(1));
        let keys = idempotency_keys(&server).await;
        assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
    };
    tokio::join!(check(429), check(503));
}

#[tokio::test]
async fn a_refusal_is_not_retried_and_contains_the_api_s_message() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(problem(422, "invalid-input"))
        .expect(1)
        .mount(&server)
        .await;
    let refused = client(&server).await.submit(&submission()).await.unwrap_err();
    let Error::Problem(problem) = refused else {
        panic!("{refused}")
    };
    assert_eq!((problem.slug(), problem.status), ("invalid-input", 422));
    assert_eq!(problem.to_string(), "Refused: do otherwise (422, request r-1)");
}

#[tokio::test]
async fn retries_of_a_busy_api_are_limited() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/stats"))
        .respond_with(problem(503, "unavailable").insert_header("retry-after", "0"))
        .expect(4)
        .mount(&server)
        .await;
    let client = client(&server).await;
    let busy = client.stats().await.unwrap_err();
    assert!(
        matches!(&busy, Error::Problem(problem) if problem.slug() == "unavailable"),
        "{busy}"
    );
}

#[tokio::test]
async fn a_failed_request_is_retried_only_if_a_repeat_is_safe() {
    for failure in [500, 502, 504] {
        let server = MockServer::start().await;
        let id = TaskId::generate();
        let failing = ResponseTemplate::new(failure).insert_header("retry-after", "0");
        Mock::given(path("/v1/tasks"))
            .respond_with(failing.clone())
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(path("/v1/tasks"))
            .respond_with(ResponseTemplate::new(202).set_body_json(accepted(id)))
            .mount(&server)
            .await;
        let client = client(&server).await;
        assert_eq!(client.submit(&submission()).await.unwrap().id, id);
        let keys = idempotency_keys(&server).await;
        assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));

        // The first request may have succeeded, and a second one could change more.
        Mock::given(path(format!("/v1/tasks/{id}/cancel")))
            .respond_with(failing.clone())
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(path("/v1/models"))
            .respond_with(failing.set_body_string("<html>"))
            .expect(4)
            .mount(&server)
            .await;
        let cancelled = client.cancel(id).await.unwrap_err();
        let models = client.models().await.unwrap_err();
        for error in [cancelled, models] {
            assert!(
                matches!(error, Error::UnexpectedResponse { status } if status == failure),
                "{error}"
            );
            assert!(error.to_string().ends_with("try again in a minute"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_wait_ends_when_the_task_is_final_or_at_the_timeout() {
    let server = MockServer::start().await;
    let id = TaskId::generate();
    let at = format!("/v1/tasks/{id}");
    Mock::given(path(&at))
        .respond_with(ResponseTemplate::new(200).set_body_json(task(id, "processing")))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    let mut done = task(id, "completed");
    done["result"] = json!({ "label": "POSITIVE", "score": 0.5, "positive": 0.98 });
    Mock::given(path(&at))
        .and(query_param("wait", "20"))
        .respond_with(ResponseTemplate::new(200).set_body_json(done))
        .mount(&server)
        .await;
    let client = client(&server).await;
    let early = client.wait(id, Duration::ZERO).await.unwrap_err();
    assert!(matches!(early, Error::NotFinal { .. }), "{early}");
    let task = client.wait(id, Duration::from_secs(60)).await.unwrap();
    assert_eq!(task.status, Status::Completed);
    assert!(matches!(task.result, Some(TaskResult::Sentiment(_))), "{task:?}");
}

#[tokio::test]
async fn a_list_sends_its_filter_and_reads_all_pages() {
    let server = MockServer::start().await;
    let ids = [TaskId::generate(), TaskId::generate()];
    let page = |id: TaskId, next: Option<&str>| json!({ "tasks": [task(id, "failed")], "next_cursor": next });
    Mock::given(path("/v1/tasks"))
        .and(query_param("cursor", "next"))
        .respond_with(ResponseTemplate::new(200).set_body_json(page(ids[1], None)))
        .mount(&server)
        .await;
    Mock::given(path("/v1/tasks"))
        .and(query_param("status", "failed"))
        .and(query_param("type", "face_detection"))
        .and(query_param("metadata.a b", "1+1=2&é"))
        .respond_with(ResponseTemplate::new(200).set_body_json(page(ids[0], Some("next"))))
        .mount(&server)
        .await;
    let filter = Filter {
        status: Some(Status::Failed),
        task_type: Some(TaskType::FaceDetection),
        metadata: BTreeMap::from([("a b".to_owned(), "1+1=2&é".to_owned())]),
        ..Filter::default()
    };
    let client = client(&server).await;
    let tasks = client.list_all(&filter, 10).await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.id).collect::<Vec<_>>(), ids);
    assert_eq!(client.list_all(&filter, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn each_entry_of_a_batch_has_its_own_result() {
    let server = MockServer::start().await;
    let id = TaskId::generate();
    let refused = json!({
        "type": "urn:ai-mesh:problem:invalid-input", "title": "t", "status": 422, "detail": "d", "request_id": "r",
    });
    let body = json!({ "results": [{ "status": 202, "task": accepted(id) }, { "status": 422, "problem": refused }] });
    Mock::given(path("/v1/tasks/batch"))
        .and(header("idempotency-key", "k"))
        .respond_with(ResponseTemplate::new(202).set_body_json(body))
        .mount(&server)
        .await;
    let results = client(&server)
        .await
        .submit_batch(&[submission(), submission()], Some("k"))
        .await
        .unwrap();
    assert_eq!(results[0].as_ref().unwrap().id, id);
    assert!(matches!(&results[1], Err(Error::Problem(problem)) if problem.slug() == "invalid-input"));
}

#[tokio::test]
async fn a_redrive_names_its_target_and_sends_the_cursor() {
    let server = MockServer::start().await;
    let (id, cursor) = (TaskId::generate(), TaskId::generate());
    let response = json!({ "redriven": [id], "skipped": [], "next_cursor": cursor });
    for body in [
        json!({ "all": true }),
        json!({ "type": "ocr", "cursor": cursor }),
        json!({ "ids": [id] }),
    ] {
        Mock::given(path("/v1/dead-letters/redrive"))
            .and(body_json(body))
            .respond_with(ResponseTemplate::new(200).set_body_json(&response))
            .expect(1)
            .mount(&server)
            .await;
    }
    let client = client(&server).await;
    let redriven = client.redrive(&RedriveTarget::All, None).await.unwrap();
    assert_eq!(
        (redriven.redriven, redriven.next_cursor),
        (vec![id], Some(cursor))
    );
    client
        .redrive(&RedriveTarget::Type(TaskType::Ocr), Some(cursor))
        .await
        .unwrap();
    client.redrive(&RedriveTarget::Ids(vec![id]), None).await.unwrap();
}

#[test]
fn invalid_addresses_and_tokens_are_refused() {
    for (url, token) in [("localhost:4566", "t"), ("", "t"), ("http://localhost", "a\nb")] {
        let refused = Client::new(url, token);
        assert!(matches!(refused, Err(Error::Setup(_))), "{url:?}");
    }
}

#[tokio::test]
async fn a_failing_health_check_is_a_result_and_a_probe_returns_the_server_s_clock() {
    let server = MockServer::start().await;
    let bucket = json!({ "name": "bucket", "ok": false, "latency_ms": 9, "error": "NoSuchBucket" });
    let failing = json!({ "status": "failing", "checks": [bucket] });
    let response = ResponseTemplate::new(503).set_body_json(failing);
    Mock::given(path("/health"))
        .respond_with(response.insert_header("date", "Sat, 31 Jan 2026 12:00:00 GMT"))
        .expect(2)
        .mount(&server)
        .await;
    let client = client(&server).await;
    let health = client.health().await.unwrap();
    assert_eq!(
        (health.status.as_str(), health.checks[0].error.as_deref()),
        ("failing", Some("NoSuchBucket"))
    );
    let probe = client.probe().await.unwrap();
    let noon = "2026-01-31T12:00:00Z".parse().ok();
    assert_eq!((probe.status, probe.date), (503, noon));
}

#[tokio::test]
async fn serializing_a_response_gives_its_json_again() {
    let server = MockServer::start().await;
    let id = TaskId::generate();
    let mut failed = task(id, "failed");
    failed["error"] = json!({ "kind": "permanent", "code": "invalid_image", "message": "send it whole" });
    Mock::given(path(format!("/v1/tasks/{id}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(&failed))
        .mount(&server)
        .await;
    let parsed = client(&server).await.get(id).await.unwrap();
    failed.as_object_mut().unwrap().remove("unknown");
    assert_eq!(json!(parsed), failed);
}

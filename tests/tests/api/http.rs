//! Routes, methods, and waiting for a task.

use std::time::{Duration, Instant};

use mesh_tests::{Api, sentiment};

#[test]
fn health_is_public() {
    let api = Api::new();
    let reply = api.send("GET", "/health", &[], None);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.body, serde_json::json!({ "status": "ok" }));
    assert_eq!(reply.header("content-type"), "application/json");
}

#[test]
fn an_unknown_route_is_404() {
    let api = Api::new();
    let paths = [
        "/v1",
        "/v1/",
        "/v2/tasks",
        "/tasks",
        "/v1/tasks/",
        "/v1/task",
        "/v1/tasks/x/y",
        "/healthy",
    ];
    for path in paths {
        let reply = api.get(path);
        assert!(reply.status == 404, "{path}: {reply:?}");
        if path != "/v1/tasks/" {
            reply.problem(404, "route-not-found");
        }
    }
}

#[test]
fn a_wrong_method_is_405_and_lists_the_allowed_ones() {
    let api = Api::new();
    let token = [("x-service-token", api.token())];
    let task = "/v1/tasks/019a0000-0000-7000-8000-000000000000";
    let wrong = [
        ("DELETE", "/v1/tasks", "GET"),
        ("PUT", "/v1/tasks", "POST"),
        ("GET", "/v1/tasks/batch", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", task, "GET"),
        ("POST", task, "GET"),
        ("POST", "/health", "GET"),
    ];
    for (method, path, right) in wrong {
        let body: Option<&[u8]> = matches!(method, "POST" | "PUT").then_some(b"{}");
        let reply = api.send(method, path, &token, body);
        reply.problem(405, "method-not-allowed");
        let allowed = reply.header("allow");
        assert!(
            allowed.split(',').any(|method| method.trim() == right),
            "{method} {path}: Allow: {allowed}"
        );
    }
}

#[test]
fn a_wait_that_is_not_a_number_from_0_to_20_is_refused() {
    let api = Api::new();
    let id = api.submit_text("fine", &[]);
    for wait in ["21", "-1", "1.5", "abc", "", "%20", "1e1", "99999999999999999999"] {
        let detail = api
            .get(&format!("/v1/tasks/{id}?wait={wait}"))
            .problem(400, "invalid-wait");
        assert!(detail.contains("0 to 20"), "{detail}");
    }
}

#[test]
fn a_wait_for_a_final_task_is_answered_at_once() {
    let api = Api::new();
    let id = api.submit_text("fine", &[]);
    api.finished(&id);
    let sent = Instant::now();
    let reply = api.get(&format!("/v1/tasks/{id}?wait=20"));
    assert_eq!((reply.status, reply.text("status")), (200, "completed"));
    assert!(sent.elapsed() < Duration::from_secs(19), "{:?}", sent.elapsed());
}

#[test]
fn without_a_wait_the_current_state_is_returned_at_once() {
    let api = Api::new();
    let reply = api.post(&sentiment("fine"));
    let task = api.show(reply.text("id"));
    assert!(
        ["pending", "processing", "completed"].contains(&task["status"].as_str().expect("a status")),
        "{task}"
    );
}

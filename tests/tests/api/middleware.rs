//! What applies to every request: limits, headers, CORS, and the correlation id.

use mesh_tests::{Api, sentiment};
use serde_json::json;

/// `WebOrigin` in tests/stack.toml.
const ORIGIN: &str = "https://app.example.com";

#[test]
fn every_response_has_security_headers() {
    let api = Api::new();
    for path in ["/health", "/nothing", "/v1/tasks/x"] {
        let reply = api.get(path);
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        assert!(
            reply
                .header("content-security-policy")
                .contains("default-src 'none'"),
            "{path}"
        );
        assert!(
            reply.header("strict-transport-security").starts_with("max-age="),
            "{path}"
        );
        assert!(!reply.header("x-request-id").is_empty(), "{path}");
    }
}

#[test]
fn only_pages_from_the_stack_s_origin_may_call() {
    let api = Api::new();
    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "content-type,x-service-token,idempotency-key",
            ),
        ];
        api.send("OPTIONS", "/v1/tasks", &headers, None)
    };
    let allowed = preflight(ORIGIN);
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(allowed.header("access-control-allow-origin"), ORIGIN);
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("x-service-token")
    );
    assert!(allowed.header("access-control-allow-methods").contains("POST"));
    // The browser compares its page's origin with the allowed one.
    let evil = preflight("https://evil.example.com");
    assert!(
        ["", ORIGIN].contains(&evil.header("access-control-allow-origin")),
        "{evil:?}"
    );
    let headers = [("origin", ORIGIN), ("x-service-token", api.token())];
    let reply = api.send("GET", "/v1/tasks/x", &headers, None);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        ORIGIN,
        "the page can also read errors"
    );
    assert!(
        reply
            .header("access-control-expose-headers")
            .contains("x-request-id")
    );
}

#[test]
fn head_is_get_without_a_body() {
    let api = Api::new();
    let id = api.submit_text("fine", &[]);
    api.finished(&id);
    let reply = api.send(
        "HEAD",
        &format!("/v1/tasks/{id}"),
        &[("x-service-token", api.token())],
        None,
    );
    assert_eq!(reply.status, 200);
    assert!(reply.body.is_null(), "{reply:?}");
}

#[test]
fn a_body_with_another_content_type_than_json_is_refused() {
    let api = Api::new();
    let body = sentiment("fine").to_string();
    for content_type in [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "image/png",
    ] {
        let headers = [("x-service-token", api.token()), ("content-type", content_type)];
        let reply = api.send("POST", "/v1/tasks", &headers, Some(body.as_bytes()));
        let detail = reply.problem(415, "unsupported-media-type");
        assert!(detail.contains("application/json"), "{detail}");
    }
    for content_type in [
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
    ] {
        let headers = [("x-service-token", api.token()), ("content-type", content_type)];
        let reply = api.send("POST", "/v1/tasks", &headers, Some(body.as_bytes()));
        assert_eq!(reply.status, 202, "{content_type}: {reply:?}");
    }
}

#[test]
fn a_body_nested_too_deep_and_headers_too_large_are_refused() {
    let api = Api::new();
    let deep = format!(
        r#"{{"type": "sentiment", "input": {}{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let detail = api.post_raw(deep.as_bytes()).problem(400, "invalid-json");
    assert!(detail.contains("recursion limit"), "{detail}");
    let large = "x".repeat(17_000);
    let headers = [("x-service-token", api.token()), ("x-large", large.as_str())];
    api.send("GET", "/v1/tasks/x", &headers, None)
        .problem(431, "headers-too-large");
}

#[test]
fn a_response_is_compressed_for_clients_that_accept_it() {
    let api = Api::new();
    let id = api.submit("embed", json!({ "text": "fine" }), &[]);
    let plain = api.finished(&id);
    let headers = [("x-service-token", api.token()), ("accept-encoding", "gzip")];
    let reply = api.send("GET", &format!("/v1/tasks/{id}"), &headers, None);
    assert_eq!((reply.status, reply.header("content-encoding")), (200, "gzip"));
    // This client does not decompress the body, so it is not JSON.
    assert!(reply.body.is_null());
    assert!(plain["result"]["embeddings"].is_array());
}

#[test]
fn a_correlation_id_goes_from_the_request_to_the_task_and_back() {
    let api = Api::new();
    let correlation = format!("order-{}", fastrand::u64(..));
    let headers = [
        ("x-service-token", api.token()),
        ("x-correlation-id", correlation.as_str()),
    ];
    let reply = api.send(
        "POST",
        "/v1/tasks",
        &headers,
        Some(sentiment("fine").to_string().as_bytes()),
    );
    assert_eq!(
        (reply.status, reply.header("x-correlation-id")),
        (202, correlation.as_str())
    );
    let task = api.finished(reply.text("id"));
    assert_eq!(task["correlation_id"], json!(correlation));

    let without = api.post(&sentiment("fine"));
    let task = api.finished(without.text("id"));
    assert_eq!(task["correlation_id"], json!(without.header("x-request-id")));
    let long = "x".repeat(129);
    for bad in ["", &long] {
        let headers = [("x-service-token", api.token()), ("x-correlation-id", bad)];
        let reply = api.send(
            "POST",
            "/v1/tasks",
            &headers,
            Some(sentiment("fine").to_string().as_bytes()),
        );
        reply.problem(400, "invalid-correlation-id");
    }
}

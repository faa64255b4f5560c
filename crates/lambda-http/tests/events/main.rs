//! Raw events, as an HTTP API and a Function URL send them, up to the answer that Lambda gets.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod any_event;
mod support;

use serde_json::json;

use support::{answers, from_function_url, from_http_api, with};

#[tokio::test]
async fn an_event_that_is_not_a_request_is_answered_with_a_problem() {
    let long = "x".repeat(70_000);
    let headers = |count: usize| -> serde_json::Value {
        let header = |n: usize| (format!("x-{n}"), json!(""));
        (0..count)
            .map(header)
            .chain([("host".to_owned(), json!("a"))])
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let cases = [
        ("/headers", headers(1_001)),
        ("/headers", headers(40_000)),
        ("/rawQueryString", json!(r#"a="b""#)),
        ("/rawQueryString", json!("a=<b>")),
        ("/rawQueryString", json!("a=b c")),
        ("/rawQueryString", json!("a=\u{0}")),
        ("/rawQueryString", json!("a=\u{7f}")),
        ("/rawQueryString", json!(long)),
        ("/rawPath", json!(format!("/{long}"))),
        ("/rawPath", json!("health")),
        ("/rawPath", json!("evil.example/health")),
        ("/rawPath", json!("@evil.example/health")),
        ("/rawPath", json!("*")),
        ("/rawPath", json!(7)),
        ("/headers/x-forwarded-proto", json!("::")),
        ("/headers/x-forwarded-proto", json!("")),
        ("/headers/x-forwarded-proto", json!("https,http")),
        ("/headers/x-forwarded-proto", json!("https, https")),
        ("/headers/x-forwarded-proto", json!(["https", "gopher"])),
        ("/headers/x-forwarded-proto", json!("ftp")),
        ("/headers/x-forwarded-proto", json!("é")),
        ("/headers/host", json!("")),
        ("/headers/host", json!("a b")),
        ("/headers/host", json!("a/b")),
        ("/headers/host", json!("a?b")),
        ("/headers/host", json!("a#b")),
        ("/headers/host", json!("user@a")),
        ("/headers/host", json!("a:port")),
        ("/headers/host", json!("a:99999")),
        ("/headers/host", json!("[::1")),
        ("/headers/host", json!("1.2.3.4.5")),
        ("/headers/host", json!("a%zz")),
        ("/headers/host", json!("<a>")),
        ("/headers/host", json!("é\u{0}")),
        ("/headers/x-own", json!("a\nb")),
        ("/headers/x-own", json!("\u{0}")),
        ("/headers/x-own", json!(7)),
        ("/headers/a header", json!("a")),
        ("/headers/", json!("a")),
        ("/headers", json!("a")),
        ("/requestContext/http/method", json!("G ET")),
        ("/requestContext/http/method", json!("GET\r\n")),
        ("/requestContext/http/method", json!("é")),
        ("/requestContext/http/method", json!(7)),
        ("/requestContext/http/method", json!(null)),
        ("/requestContext", json!(null)),
        ("/requestContext", json!([])),
        ("/isBase64Encoded", json!("yes")),
        ("/cookies", json!("a=1")),
        ("/body", json!({})),
    ];
    for base in [from_http_api, from_function_url] {
        for (pointer, value) in &cases {
            let raw = with(base, pointer, value.clone()).to_string();
            for answer in answers(&raw).await {
                answer.assert_problem(400, "invalid-request");
            }
        }
    }
    for raw in [
        "{}",
        "[]",
        "null",
        "7",
        r#""a""#,
        r#"{"Records": []}"#,
        r#"{"requestContext": {}, "requestContext": {}}"#,
    ] {
        for answer in answers(raw).await {
            answer.assert_problem(400, "invalid-request");
        }
    }
}

#[tokio::test]
async fn a_host_may_be_named_by_the_gateway_alone_and_must_be_named() {
    for (domain, is_host) in [
        (json!("a.example"), true),
        (json!("127.0.0.1:4566"), true),
        (json!("[::1]:80"), true),
        (json!("a b"), false),
        (json!(""), false),
        (json!(null), false),
    ] {
        let mut event = with(from_http_api, "/requestContext/domainName", domain.clone());
        event["headers"].as_object_mut().unwrap().remove("host");
        for answer in answers(&event.to_string()).await {
            assert_eq!(
                answer.status,
                if is_host { 200 } else { 400 },
                "{domain}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_base64_is_refused_and_one_that_is_arrives() {
    for (body, is_base64, status, answer) in [
        (json!(r#"{"a":"é"}"#), false, 200, r#"{"a":"é"}"#),
        (json!("eyJhIjoiw6kifQ=="), true, 200, r#"{"a":"é"}"#),
        (json!("eyJhIjoiw6kifQ"), true, 400, "invalid-request"),
        (json!("not base64"), true, 400, "invalid-request"),
        (json!("/////w=="), true, 400, "invalid-json"),
        (json!(""), true, 400, "invalid-json"),
        (json!(null), false, 400, "invalid-json"),
        (json!(r#"{"a":1,"a":1}"#), false, 422, "invalid-body"),
    ] {
        let mut event = with(from_function_url, "/body", body.clone());
        event["rawPath"] = json!("/echo");
        event["requestContext"]["http"]["method"] = json!("POST");
        event["isBase64Encoded"] = json!(is_base64);
        for given in answers(&event.to_string()).await {
            assert_eq!(given.status, status, "{body}: {given:?}");
            assert!(given.body.contains(answer), "{body}: {given:?}");
        }
    }
}

#[tokio::test]
async fn an_ordinary_request_arrives_as_it_was_sent() {
    let cases = [
        ("/rawPath", json!("/health"), 200, "fine"),
        ("/rawPath", json!("/name/a b\u{e9}\"<?#"), 200, "a bé\"<?#"),
        ("/rawPath", json!("/name/a%20b%C3%A9"), 200, "a bé"),
        ("/rawPath", json!("/name/../health"), 200, "fine"),
        ("/rawPath", json!("/name/%2e%2E/health"), 200, "fine"),
        ("/rawPath", json!("/name/%ff"), 404, "task-not-found"),
        ("/rawPath", json!("//health"), 404, "route-not-found"),
        ("/rawPath", json!(""), 404, "route-not-found"),
        ("/rawPath", json!(null), 404, "route-not-found"),
        (
            "/requestContext/http/method",
            json!("BREW"),
            405,
            "method-not-allowed",
        ),
        ("/requestContext/http/method", json!("HEAD"), 200, ""),
        ("/headers/x-forwarded-proto", json!("HTTP"), 200, "fine"),
        ("/headers/x-forwarded-proto", json!(null), 200, "fine"),
        ("/headers/x-own", json!("é"), 200, "fine"),
        ("/headers", json!(null), 200, "fine"),
        ("/requestContext/stage", json!("live"), 200, "fine"),
        ("/rawQueryString", json!("a=%22b%22&c=d'e|é"), 200, "fine"),
    ];
    for base in [from_http_api, from_function_url] {
        for (pointer, value, status, text) in &cases {
            for answer in answers(&with(base, pointer, value.clone()).to_string()).await {
                assert_eq!(answer.status, *status, "{value}: {answer:?}");
                assert!(answer.body.contains(text), "{value}: {answer:?}");
            }
        }
        let mut event = with(base, "/rawQueryString", json!("a=%22b%22&c=+"));
        event["rawPath"] = json!("/query");
        for answer in answers(&event.to_string()).await {
            assert_eq!(answer.body, "a=%22b%22&c=+");
        }
        let mut event = with(base, "/headers/x-correlation-id", json!("order-42"));
        event["rawPath"] = json!("/ids");
        for answer in answers(&event.to_string()).await {
            assert_eq!(
                (&*answer.body, answer.header("x-correlation-id")),
                ("request-1", "order-42")
            );
        }
        event["headers"]["x-correlation-id"] = json!("é");
        for answer in answers(&event.to_string()).await {
            answer.assert_problem(400, "invalid-correlation-id");
            assert_eq!(answer.header("x-correlation-id"), "request-1");
        }
        event["rawQueryString"] = json!("\"");
        event["headers"]["x-correlation-id"] = json!("order-42");
        for answer in answers(&event.to_string()).await {
            answer.assert_problem(400, "invalid-request");
            assert_eq!(answer.header("x-correlation-id"), "order-42");
        }
    }
}

//! The layers around a router, as a host puts them together.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use mesh_http::auth::{self, CompatAccess, SERVICE_TOKEN};
use mesh_http::{
    AcceptedKeys, CorrelationId, Deadline, Denied, HOST_MARGIN, IdempotencyKey, JsonBody, Problem,
    RequestContext, RequestId, browser, limits,
};
use mesh_task::Tenant;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt;

/// The SHA-256 of `secret`.
const TOKEN_SHA256: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
/// How long the host gives a request.
const HOST_TIME: Duration = Duration::from_secs(29);
const MAX_EVENT_BYTES: usize = 10_000;

fn token() -> AcceptedKeys {
    TOKEN_SHA256.parse().expect("64 hex digits")
}

/// A host's router: open routes, routes behind the token, and routes that may be open.
fn router(origin: Option<&'static str>, anonymous: Option<Tenant>) -> Router {
    let tenant = async |Extension(tenant): Extension<Tenant>| tenant.as_str().to_owned();
    let closed = Router::new()
        .route("/closed", get(tenant))
        .route_layer(from_fn_with_state(token(), auth::require_token));
    let access = CompatAccess {
        token: token(),
        anonymous,
    };
    let compat = Router::new()
        .route("/compat", get(tenant))
        .route_layer(from_fn_with_state(access, auth::allow_anonymous_compat));
    let router = Router::new()
        .merge(closed)
        .merge(compat)
        .route("/echo", post(async |JsonBody(body): JsonBody| body.to_string()))
        .route("/form", post(async || "form"))
        .route("/busy", get(async || Problem::too_many_requests()))
        .route("/down", get(async || Problem::service_unavailable()))
        .route("/denied", get(async || Problem::from(Denied::NoToken)))
        .route("/gone", get(async || Problem::changes_gone()))
        .route(
            "/key",
            get(async |IdempotencyKey(key): IdempotencyKey| key.unwrap_or_default()),
        )
        .route(
            "/ids",
            get(
                async |RequestId(id): RequestId, CorrelationId(shared): CorrelationId| {
                    format!("{id} {shared}")
                },
            ),
        )
        .route(
            "/page",
            get(async || ([(CONTENT_SECURITY_POLICY, "default-src 'self'")], "page")),
        )
        .route(
            "/left",
            get(async |Deadline(until): Deadline| {
                until
                    .saturating_duration_since(Instant::now())
                    .as_secs()
                    .to_string()
            }),
        )
        .route("/slow", get(slow))
        .fallback(async || Problem::route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn(limits::limit_time))
        .layer(from_fn_with_state("/form", limits::require_json))
        .layer(from_fn(limits::limit_headers))
        .layer(from_fn(mesh_http::render));
    let cors = origin.map(|origin| {
        browser::cors(
            &HeaderValue::from_static(origin),
            [Method::GET, Method::POST],
            [SERVICE_TOKEN],
        )
    });
    browser::layers(router, cors)
}

/// Answers soon, but after a limit of time that is over when the request comes: the pause ends later, and then the limit is
/// looked at before the answer.
async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(10)).await;
    tokio::task::yield_now().await;
    "slow"
}

/// The router of a host that gives contexts.
fn hosted() -> Router {
    hosted_for(HOST_TIME)
}

/// The router of a host that gives a request up after this time.
fn hosted_for(time: Duration) -> Router {
    router(None, None).layer(Extension(RequestContext {
        max_event_bytes: Some(MAX_EVENT_BYTES),
        ..RequestContext::new("request-1", SystemTime::now() + time)
    }))
}

async fn send(router: Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    router.oneshot(request).await.expect("a router always answers")
}

async fn ask(path: &str, headers: &[(&str, &str)]) -> Response {
    send(hosted(), "GET", path, headers, "").await
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().expect("ASCII"))
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.into()).expect("UTF-8")
}

/// Checks that a response is the problem of that status and slug, and returns its document.
async fn problem(response: Response, status: u16, slug: &str) -> Value {
    assert_eq!(response.status().as_u16(), status, "{slug}: {response:?}");
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let document: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(document["type"], format!("urn:ai-mesh:problem:{slug}"));
    assert_eq!(document["status"], status);
    document
}

#[tokio::test]
async fn a_problem_is_a_document_with_the_request_s_id_and_its_answer_has_both_ids() {
    let response = ask("/nothing", &[]).await;
    assert_eq!(header(&response, "x-request-id"), "request-1");
    assert_eq!(header(&response, "x-correlation-id"), "request-1");
    let document = problem(response, 404, "route-not-found").await;
    assert_eq!(document["request_id"], "request-1");
    assert_eq!(document["title"], "Address not found");
    assert_eq!(document.as_object().unwrap().len(), 5, "{document}");
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let response = ask("/nothing", &[("traceparent", parent)]).await;
    assert_eq!(
        header(&response, "x-correlation-id"),
        "0af7651916cd43dd8448eb211c80319c"
    );
    let response = ask("/ids", &[("x-correlation-id", "order-42")]).await;
    assert_eq!(header(&response, "x-request-id"), "request-1");
    assert_eq!(header(&response, "x-correlation-id"), "order-42");
    assert_eq!(text(response).await, "request-1 order-42");
    assert_eq!(text(ask("/ids", &[]).await).await, "request-1 request-1");
    let invalid = ask("/ids", &[("x-correlation-id", "order 42")]).await;
    assert_eq!(header(&invalid, "x-correlation-id"), "order 42");
    problem(invalid, 400, "invalid-correlation-id").await;
}

#[tokio::test]
async fn a_refusal_says_how_to_authenticate_and_a_failure_when_to_come_back() {
    let denied = ask("/denied", &[]).await;
    assert_eq!(header(&denied, "www-authenticate"), "Bearer");
    problem(denied, 401, "unauthorized").await;
    for (path, status, slug) in [("/busy", 429, "too-many-requests"), ("/down", 503, "unavailable")] {
        let response = ask(path, &[]).await;
        assert_eq!(header(&response, "retry-after"), "5");
        problem(response, status, slug).await;
    }
    let gone = ask("/gone", &[]).await;
    assert_eq!(header(&gone, "www-authenticate"), "");
    assert_eq!(header(&gone, "retry-after"), "");
    problem(gone, 410, "changes-gone").await;
}

#[tokio::test]
async fn a_token_names_the_tenant_and_without_it_nobody_is_let_in() {
    for headers in [
        &[][..],
        &[("x-service-token", "wrong")],
        &[("authorization", "Basic secret")],
    ] {
        let refused = ask("/closed", headers).await;
        assert_eq!(header(&refused, "www-authenticate"), "Bearer");
        problem(refused, 401, "unauthorized").await;
    }
    for headers in [
        [("x-service-token", "secret")],
        [("authorization", "Bearer secret")],
    ] {
        let response = ask("/closed", &headers).await;
        assert_eq!(text(response).await, Tenant::first().as_str());
    }
}

#[tokio::test]
async fn an_earlier_system_s_route_is_open_only_where_a_tenant_is_configured() {
    let other = Tenant::try_from("other".to_owned()).unwrap();
    let open = || router(None, Some(other.clone()));
    let response = send(open(), "GET", "/compat", &[], "").await;
    assert_eq!(text(response).await, "other");
    let token = [("x-service-token", "secret")];
    let response = send(open(), "GET", "/compat", &token, "").await;
    assert_eq!(text(response).await, Tenant::first().as_str());
    let wrong = [("x-service-token", "wrong")];
    problem(
        send(open(), "GET", "/compat", &wrong, "").await,
        401,
        "unauthorized",
    )
    .await;
    problem(ask("/compat", &[]).await, 401, "unauthorized").await;
    problem(send(open(), "GET", "/closed", &[], "").await, 401, "unauthorized").await;
}

#[tokio::test]
async fn headers_a_body_and_an_event_that_are_too_large_are_refused() {
    let large = "x".repeat(17_000);
    let response = ask("/nothing", &[("x-large", &large)]).await;
    assert_eq!(header(&response, "x-request-id"), "request-1");
    problem(response, 431, "headers-too-large").await;
    let json = [("content-type", "application/json")];
    let body = |bytes: usize| json!("x".repeat(bytes)).to_string();
    let response = send(hosted(), "POST", "/echo", &json, &body(MAX_EVENT_BYTES)).await;
    let document = problem(response, 413, "payload-too-large").await;
    assert!(
        document["detail"]
            .as_str()
            .unwrap()
            .contains("the limit is 10000"),
        "{document}"
    );
    // In an event a quote takes two bytes.
    let quotes = send(
        hosted(),
        "POST",
        "/echo",
        &json,
        &json!("\"".repeat(2_000)).to_string(),
    )
    .await;
    problem(quotes, 413, "payload-too-large").await;
    // A host without events has the body's limit alone.
    let plain = || router(None, None);
    let response = send(plain(), "POST", "/echo", &json, &body(MAX_EVENT_BYTES)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let response = send(plain(), "POST", "/echo", &json, &body(limits::MAX_BODY_BYTES)).await;
    problem(response, 413, "payload-too-large").await;
}

#[tokio::test]
async fn a_body_is_json_and_a_key_is_visible() {
    let text_plain = [("content-type", "text/plain")];
    let response = send(hosted(), "POST", "/echo", &text_plain, "{}").await;
    problem(response, 415, "unsupported-media-type").await;
    let response = send(hosted(), "POST", "/form", &text_plain, "x").await;
    assert_eq!(response.status(), StatusCode::OK);
    let json = [("content-type", "application/json")];
    let response = send(hosted(), "POST", "/echo", &json, "{").await;
    problem(response, 400, "invalid-json").await;
    let response = send(hosted(), "POST", "/echo", &json, r#"{"a":1}"#).await;
    assert_eq!(text(response).await, r#"{"a":1}"#);
    assert_eq!(
        text(ask("/key", &[("idempotency-key", "k-1")]).await).await,
        "k-1"
    );
    for key in ["", "a key", &"k".repeat(256)] {
        let response = ask("/key", &[("idempotency-key", key)]).await;
        problem(response, 400, "invalid-idempotency-key").await;
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_and_its_header_named() {
    let json = ("content-type", "application/json");
    for coding in ["gzip", "br, identity"] {
        for path in ["/echo", "/form"] {
            let response = send(
                hosted(),
                "POST",
                path,
                &[json, ("content-encoding", coding)],
                "{}",
            )
            .await;
            let problem = problem(response, 415, "unsupported-media-type").await;
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.starts_with("Content-Encoding ") && detail.contains("uncompressed"),
                "{detail}"
            );
        }
        assert_eq!(
            ask("/ids", &[("content-encoding", coding)]).await.status(),
            StatusCode::OK
        );
    }
    let response = send(
        hosted(),
        "POST",
        "/echo",
        &[json, ("content-encoding", "identity")],
        "{}",
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_the_host_refused_is_answered_like_every_other_problem() {
    let mut request = Request::builder()
        .uri("/-")
        .header("x-correlation-id", "order-42");
    request
        .extensions_mut()
        .unwrap()
        .insert(Problem::invalid_request("no"));
    let response = hosted()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(header(&response, "x-correlation-id"), "order-42");
    assert_eq!(header(&response, "cache-control"), "no-store");
    problem(response, 400, "invalid-request").await;
}

#[tokio::test]
async fn work_ends_before_a_slow_answer_is_given_up_and_that_well_before_the_host_s_deadline() {
    let left: u64 = text(ask("/left", &[]).await).await.parse().unwrap();
    assert!((20..=23).contains(&left), "{left}");
    // Nothing bounds a request that no host gave a deadline.
    let left = text(send(router(None, None), "GET", "/left", &[], "").await).await;
    assert!(left.parse::<u64>().unwrap() > 3_000, "{left}");
    // The host still waits for the margin.
    let slow = send(hosted_for(HOST_MARGIN), "GET", "/slow", &[], "").await;
    assert_eq!(header(&slow, "retry-after"), "5");
    problem(slow, 503, "out-of-time").await;
}

#[tokio::test]
async fn options_names_the_methods_and_a_page_of_the_origin_may_call() {
    let response = send(hosted(), "OPTIONS", "/closed", &[], "").await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&response, "allow"), "GET,HEAD");
    assert_eq!(header(&response, "access-control-allow-origin"), "");
    let refused = send(hosted(), "DELETE", "/closed", &[], "").await;
    assert_eq!(header(&refused, "allow"), "GET,HEAD");
    problem(refused, 405, "method-not-allowed").await;
    let preflight = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "GET"),
    ];
    for origin in ["https://app.example.com", "*"] {
        let response = send(router(Some(origin), None), "OPTIONS", "/closed", &preflight, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "access-control-allow-origin"), origin);
        assert_eq!(header(&response, "access-control-allow-methods"), "GET,POST");
        assert_eq!(
            header(&response, "access-control-allow-headers"),
            "x-service-token"
        );
        let response = send(router(Some(origin), None), "GET", "/closed", &preflight[..1], "").await;
        assert_eq!(header(&response, "access-control-allow-origin"), origin);
        assert!(header(&response, "access-control-expose-headers").contains("x-request-id"));
        problem(response, 401, "unauthorized").await;
    }
}

#[tokio::test]
async fn every_answer_keeps_browsers_careful_and_a_page_may_have_its_own_policy() {
    for (path, time) in [
        ("/ids", HOST_TIME),
        ("/nothing", HOST_TIME),
        ("/closed", HOST_TIME),
        ("/slow", HOST_MARGIN),
    ] {
        let response = send(hosted_for(time), "GET", path, &[], "").await;
        assert_eq!(header(&response, "cache-control"), "no-store", "{path}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(
            header(&response, "strict-transport-security"),
            "max-age=31536000",
            "{path}"
        );
        assert!(
            header(&response, CONTENT_SECURITY_POLICY.as_str()).contains("default-src 'none'"),
            "{path}"
        );
    }
    let page = ask("/page", &[]).await;
    assert_eq!(header(&page, "content-security-policy"), "default-src 'self'");
    assert!(header(&page, CONTENT_TYPE.as_str()).starts_with("text/plain"));
}

//! Raw events, as an HTTP API and a Function URL send them, up to the answer that Lambda gets.
#![allow(clippy::unwrap_used, reason = "a test may")]

use axum::extract::{Path, RawQuery};
use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::BodyExt;
use mesh_http::{CorrelationId, JsonBody, Problem, RequestId, browser};
use mesh_lambda_http::{Context, HttpEvent, LambdaEvent, answer, answer_streaming};
use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Routes that show what they were asked, within the layers that every host has.
fn router() -> Router {
    let router = Router::new()
        .route("/health", get(async || "fine"))
        .route("/ids", get(async |RequestId(id): RequestId, _: CorrelationId| id))
        .route(
            "/query",
            get(async |RawQuery(query): RawQuery| query.unwrap_or_default()),
        )
        .route("/echo", post(async |JsonBody(body): JsonBody| Json(body)))
        .route(
            "/name/{name}",
            get(async |name: Result<Path<String>, _>| {
                name.map(|Path(name)| name).map_err(|_| Problem::task_not_found())
            }),
        )
        .fallback(async || Problem::route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn(mesh_http::render));
    browser::layers(router, None)
}

/// A request for the route `/health`, as an HTTP API sends it.
fn from_http_api() -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/health",
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "content-length": "0",
            "host": "abc123.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-65b8c7f0-0123456789abcdef01234567",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abc123",
            "http": {
                "method": "GET",
                "path": "/health",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "31/Jan/2026:12:00:00 +0000",
            "timeEpoch": 1_769_860_800_000_i64,
        },
        "isBase64Encoded": false,
    })
}

/// The same, as a Function URL sends it.
fn from_function_url() -> Value {
    let mut event = from_http_api();
    let domain = "abc123.lambda-url.eu-central-1.on.aws";
    event["headers"]["host"] = json!(domain);
    event["requestContext"]["domainName"] = json!(domain);
    event["requestContext"]["accountId"] = json!("anonymous");
    event["requestContext"]["authentication"] = json!(null);
    event["cookies"] = json!(["a=1", "b=2"]);
    event
}

/// The base event with one of its values replaced. `null` removes it.
fn with(base: fn() -> Value, pointer: &str, value: Value) -> Value {
    let mut event = base();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    event
}

#[derive(Debug)]
struct Answer {
    status: u64,
    headers: Map<String, Value>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn assert_problem(&self, status: u64, slug: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["type"], format!("urn:ai-mesh:problem:{slug}"), "{self:?}");
        assert_eq!(
            (&problem["status"], &problem["request_id"]),
            (&json!(status), &json!("request-1"))
        );
        for (name, value) in [
            ("x-request-id", "request-1"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(self.header(name), value, "{self:?}");
        }
    }
}

fn event(raw: &str) -> LambdaEvent<HttpEvent> {
    let mut context = Context::default();
    context.request_id = "request-1".to_owned();
    LambdaEvent::new(serde_json::from_str(raw).unwrap(), context)
}

/// The answer of the api's way of answering, then that of the event stream's.
async fn answers(raw: &str) -> [Answer; 2] {
    let whole = answer(router(), event(raw)).await.unwrap();
    let mut whole = serde_json::to_value(whole).unwrap();
    let Value::Object(headers) = whole["headers"].take() else {
        panic!("{whole}")
    };
    let streamed = answer_streaming(router(), event(raw)).await.unwrap();
    let prelude = serde_json::to_value(&streamed.metadata_prelude).unwrap();
    let body = axum::body::Body::from_stream(streamed.stream)
        .collect()
        .await
        .unwrap()
        .to_bytes();
    [
        Answer {
            status: whole["statusCode"].as_u64().unwrap(),
            headers,
            body: whole["body"].as_str().unwrap_or_default().to_owned(),
        },
        Answer {
            status: prelude["statusCode"].as_u64().unwrap(),
            headers: prelude["headers"].as_object().unwrap().clone(),
            body: String::from_utf8(body.into()).unwrap(),
        },
    ]
}

#[tokio::test]
async fn an_event_that_is_not_a_request_is_answered_with_a_problem() {
    let long = "x".repeat(70_000);
    let cases = [
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

/// Any JSON, of a few levels.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            hash_map(any::<String>(), inner, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", any::<String>()]
}

fn path() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("/echo"),
        Just("/query"),
        Just("/name/"),
        Just("/health"),
        Just("/")
    ];
    prop_oneof![
        known.clone().prop_map(str::to_owned),
        (known, text()).prop_map(|(path, rest)| path.to_owned() + &rest),
        text()
    ]
}

fn method() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("GET"),
        Just("POST"),
        Just("HEAD"),
        Just("OPTIONS"),
        Just("DELETE")
    ];
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => text()]
}

fn header() -> impl Strategy<Value = (String, Value)> {
    let name = prop_oneof![
        Just("host"),
        Just("Host"),
        Just("x-forwarded-proto"),
        Just("content-type"),
        Just("content-encoding"),
        Just("x-correlation-id"),
        Just("traceparent"),
        Just("origin"),
        Just("access-control-request-method"),
    ];
    let name = prop_oneof![4 => name.prop_map(str::to_owned), 1 => "[a-z-]{1,8}", 1 => text()];
    let value = prop_oneof![
        6 => prop_oneof![Just("https"), Just("a.example:80"), Just("[::1]"), Just("identity")].prop_map(Value::from),
        6 => text().prop_map(Value::from),
        1 => any_json(),
    ];
    (name, value)
}

fn body() -> impl Strategy<Value = String> {
    let escapes = r#"[\[\]{}",:0-9eE.+\\udD8-]{0,24}"#;
    prop_oneof![
        text(),
        escapes,
        any_json().prop_map(|body| body.to_string()),
        "[A-Za-z0-9+/]{0,16}={0,2}"
    ]
}

prop_compose! {
    fn any_event()(
        path in path(),
        method in method(),
        query in option::of(prop_oneof!["[!-~]{0,12}", any::<String>()]),
        headers in vec(header(), 0..5),
        cookies in option::of(vec(text(), 0..3)),
        body in option::of(body()),
        is_base64 in any::<bool>(),
        domain in option::of(text()),
        stage in option::of(text()),
        base in prop_oneof![Just(from_http_api as fn() -> Value), Just(from_function_url as fn() -> Value)],
        replaced in option::weighted(0.2, (0_usize..8, any_json())),
    ) -> Value {
        let mut event = base();
        event["rawPath"] = json!(path);
        event["requestContext"]["http"]["method"] = json!(method);
        event["isBase64Encoded"] = json!(is_base64);
        for (name, value) in headers {
            event["headers"][name] = value;
        }
        for (pointer, value) in [
            ("/rawQueryString", json!(query)),
            ("/cookies", json!(cookies)),
            ("/body", json!(body)),
        ] {
            event[&pointer[1..]] = value;
        }
        if let Some(domain) = domain {
            event["headers"].as_object_mut().unwrap().remove("host");
            event["requestContext"]["domainName"] = json!(domain);
        }
        event["requestContext"]["stage"] = json!(stage);
        if let Some((place, value)) = replaced {
            let pointers = [
                "", "/headers", "/requestContext", "/requestContext/http", "/rawPath", "/body", "/cookies", "/pathParameters",
            ];
            match event.pointer_mut(pointers[place]) {
                Some(part) => *part = value,
                None => event["pathParameters"] = value,
            }
        }
        event
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_event_gets_an_answer(event in any_event()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for answer in runtime.block_on(answers(&event.to_string())) {
            prop_assert!((200..500).contains(&answer.status), "{answer:?}");
            // Lambda takes a text for each header.
            prop_assert!(answer.headers.values().all(Value::is_string), "{answer:?}");
            if answer.status >= 400 && !answer.body.is_empty() {
                prop_assert_eq!(answer.header("content-type"), "application/problem+json");
                let problem: Value = serde_json::from_str(&answer.body).unwrap();
                prop_assert_eq!(&problem["status"], &json!(answer.status));
            }
        }
    }
}

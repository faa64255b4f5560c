//! What the tests share: a router, events and answers.

use axum::extract::{Path, RawQuery};
use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::BodyExt;
use mesh_http::{CorrelationId, JsonBody, Problem, RequestId, browser};
use mesh_lambda_http::{Context, HttpEvent, LambdaEvent, answer, answer_streaming};
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
pub(crate) fn from_http_api() -> Value {
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
pub(crate) fn from_function_url() -> Value {
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
pub(crate) fn with(base: fn() -> Value, pointer: &str, value: Value) -> Value {
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
pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) headers: Map<String, Value>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn assert_problem(&self, status: u64, slug: &str) {
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
pub(crate) async fn answers(raw: &str) -> [Answer; 2] {
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

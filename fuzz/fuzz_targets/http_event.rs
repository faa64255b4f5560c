//! Every event of an HTTP API or a Function URL that is JSON is answered: by a handler, or by a problem below 500.

#![no_main]

use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Json, Router};
use libfuzzer_sys::fuzz_target;
use mesh_http::{JsonBody, Problem, browser};
use mesh_lambda_http::{Context, HttpEvent, LambdaEvent, answer, answer_streaming};
use serde_json::Value;

fn router() -> Router {
    let router = Router::new()
        .route("/health", get(async || "fine"))
        .route("/v1/tasks", post(async |JsonBody(body): JsonBody| Json(body)))
        .fallback(async || Problem::route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn(mesh_http::render));
    browser::layers(router, None)
}

fuzz_target!(|event: &[u8]| {
    let parse = || {
        serde_json::from_slice::<HttpEvent>(event).map(|event| LambdaEvent::new(event, Context::default()))
    };
    let (Ok(whole), Ok(streamed)) = (parse(), parse()) else {
        // Lambda sends JSON.
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let whole = runtime.block_on(answer(router(), whole)).expect("an answer");
    let whole = serde_json::to_value(whole).expect("an answer is JSON");
    let status = whole["statusCode"].as_u64().unwrap_or_default();
    assert!((200..500).contains(&status), "{whole}");
    if status >= 400 && whole["body"] != "" && !whole["body"].is_null() {
        let body = whole["body"].as_str().unwrap_or_default();
        let problem: Value = serde_json::from_str(body).expect("a problem");
        assert_eq!(problem["status"], status);
    }
    let streamed = runtime
        .block_on(answer_streaming(router(), streamed))
        .expect("an answer");
    assert_eq!(u64::from(streamed.metadata_prelude.status_code.as_u16()), status);
});

//! Measures the memory that a body of many small values takes. It is the only test of its process, since it measures the peak
//! memory of the whole process.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fs;

use axum::Router;
use axum::routing::post;
use mesh_http::JsonBody;
use mesh_lambda_http::{Context, LambdaEvent, answer};
use serde_json::json;

/// The largest body of a Lambda event, in bytes, where half of it are quotes.
const BODY_BYTES: usize = 4_200_000;
/// What the values may take, and the event with the body, in MiB.
const MAX_GROWTH: u64 = 48 + 24;

/// The peak of the process's memory, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn a_body_of_many_small_values_takes_little_memory() {
    let before = peak();
    let router = Router::new().route(
        "/",
        post(async |JsonBody(body): JsonBody| body.is_array().to_string()),
    );
    for unit in [
        r#"{"":0}"#,
        r#"{"a":0}"#,
        "[0]",
        "0",
        r#""a""#,
        "{}",
        r#"{"a":{"b":[]}}"#,
    ] {
        let units = BODY_BYTES / (unit.len() + 1) - 1;
        let body = format!("[{}{unit}]", format!("{unit},").repeat(units));
        let event = json!({
            "rawPath": "/",
            "requestContext": { "http": { "method": "POST" }, "domainName": "a.example" },
            "body": body,
        });
        let event = event.to_string();
        drop(body);
        // Resets the peak to the current value: proc(5).
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let event = LambdaEvent::new(serde_json::from_str(&event).unwrap(), Context::default());
        serde_json::to_string(&answer(router.clone(), event).await.unwrap()).unwrap();
        let growth = peak() - before;
        println!("{unit}: {growth} MiB");
        assert!(growth <= MAX_GROWTH, "{unit}: {growth} MiB");
    }
}

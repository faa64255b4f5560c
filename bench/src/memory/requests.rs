//! Requests of the maximum size, as API Gateway passes them to the api.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) const TOKEN: &str = "bench";
/// Lambda takes 6 MB as an event. The rest is for the event's frame.
const MAX_BODY_BYTES: usize = 6 * 1024 * 1024 - 8_192;

/// A request with a JSON body. API Gateway passes a body as text or in base64, by its type.
pub(super) fn post(path: &str, body: &str) -> Value {
    event("POST", path, "", body, false)
}

pub(super) fn get(path: &str, query: &str) -> Value {
    event("GET", path, query, "", false)
}

/// A body that is JSON all over, as large as possible: `part` again and again, between `start` and `end`. It is passed in
/// base64, which costs less than escaping its quotes.
pub(super) fn repeated(path: &str, start: &str, part: &str, end: &str) -> Value {
    let room = MAX_BODY_BYTES / 4 * 3 - start.len() - end.len();
    let parts = vec![part; (room + 1) / (part.len() + 1)].join(",");
    encoded(path, &format!("{start}{parts}{end}"))
}

/// A request whose JSON body API Gateway passes in base64.
pub(super) fn encoded(path: &str, body: &str) -> Value {
    event("POST", path, "", &base64(body.as_bytes()), true)
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// As many bytes as the body of one request can have in base64, besides `frame` bytes.
pub(super) fn room_for_file(frame: usize) -> usize {
    (MAX_BODY_BYTES - frame) / 4 * 3
}

fn event(method: &str, path: &str, query: &str, body: &str, is_base64: bool) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": {
            "content-type": "application/json", "host": "bench.example.com", "x-service-token": TOKEN,
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "000000000000", "apiId": "bench", "domainName": "bench.example.com", "domainPrefix": "bench",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "bench" },
            "requestId": "bench", "routeKey": "$default", "stage": "$default",
            "time": "30/Jan/2026:12:00:00 +0000", "timeEpoch": 1_769_774_400_000_i64,
        },
        "body": body, "isBase64Encoded": is_base64,
    })
}

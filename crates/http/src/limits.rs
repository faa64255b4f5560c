//! How large a request may be and how long it may take.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use crate::{Problem, RequestContext};

/// The largest body that any host takes: what Lambda takes as an event (AWS Lambda quotas).
pub const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;
/// API Gateway's own limit is lower: an HTTP API takes 10 kB.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// What a Lambda event contains besides the body, the headers and the path: the gateway's request context.
const EVENT_FRAME_BYTES: usize = 4_096;

/// Refuses a request whose headers are too large.
///
/// # Errors
/// The problem `headers-too-large`.
pub async fn limit_headers(request: Request, next: Next) -> Result<Response, Problem> {
    let bytes = header_bytes(request.headers());
    if bytes > MAX_HEADER_BYTES {
        return Err(Problem::headers_too_large(bytes, MAX_HEADER_BYTES));
    }
    Ok(next.run(request).await)
}

/// Refuses a posted body whose `Content-Type` is not JSON, except at the path that takes a form.
///
/// # Errors
/// The problem `unsupported-media-type`.
pub async fn require_json(
    State(form_path): State<&'static str>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(content_type) = request.headers().get(CONTENT_TYPE)
        && request.method() == Method::POST
        && !may_be_json(content_type)
        && request.uri().path() != form_path
    {
        return Err(Problem::unsupported_media_type());
    }
    Ok(next.run(request).await)
}

/// Gives up a request that is not answered within the time.
///
/// # Errors
/// The problem `out-of-time`.
pub async fn limit_time(
    State(max): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let response = tokio::time::timeout(max, next.run(request)).await;
    response.map_err(|_| Problem::out_of_time())
}

/// A body that is JSON, of a request that the host takes as an event.
#[derive(Debug)]
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let max_event_bytes = RequestContext::from_extensions(request.extensions()).max_event_bytes;
        let frame = EVENT_FRAME_BYTES + header_bytes(request.headers()) + request.uri().path().len();
        let body = to_bytes(request.into_body(), MAX_BODY_BYTES).await;
        let body = body.map_err(|_| Problem::payload_too_large(MAX_BODY_BYTES + 1, MAX_BODY_BYTES))?;
        if let Some(max) = max_event_bytes {
            let event = frame + escaped_len(&body);
            if event > max {
                return Err(Problem::payload_too_large(event, max));
            }
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Problem::invalid_json(&error))
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

/// Whether the type is JSON, or the one that curl gives everything that it posts.
fn may_be_json(content_type: &HeaderValue) -> bool {
    let essence = content_type.to_str().unwrap_or_default().split(';').next();
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || essence.ends_with("+json")
        || essence == "application/x-www-form-urlencoded"
}

/// How long a body is as a string inside the event's JSON, where quotes and control characters are escaped.
fn escaped_len(body: &[u8]) -> usize {
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    body.iter().map(escaped).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_by_several_names() {
        for name in [
            "application/json",
            "application/JSON; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(may_be_json(&HeaderValue::from_static(name)), "{name}");
        }
        for name in [
            "",
            "text/plain",
            "application/xml",
            "multipart/form-data; boundary=x",
            "json",
        ] {
            assert!(!may_be_json(&HeaderValue::from_static(name)), "{name}");
        }
    }

    #[test]
    fn an_escaped_body_is_measured_as_json_writes_it() {
        for body in ["", r#"{"text": "a\n\"b\""}"#, "\n\r\t\u{1}é😀"] {
            let written = serde_json::to_string(body).unwrap();
            assert_eq!(escaped_len(body.as_bytes()), written.len() - 2, "{body}");
        }
    }
}

//! Reads a request, within what Lambda takes.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::Extensions;
use http::request::Parts;
use lambda_http::Context;
use serde_json::Value;
use tokio::time::Instant;

use crate::hygiene::CORRELATION_ID;
use crate::problem::Problem;

/// Lambda takes 6 MB for a synchronous invocation's event (AWS Lambda quotas).
pub(crate) const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;
/// What an event holds beside the body and the headers: the gateway's request context.
const EVENT_FRAME_BYTES: usize = 4_096;

/// A body that is JSON, of a request whose whole event Lambda would take.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let headers: usize = request
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        let frame = EVENT_FRAME_BYTES + headers + request.uri().path().len();
        let body = to_bytes(request.into_body(), MAX_EVENT_BYTES).await;
        let body = body.map_err(|_| Problem::payload_too_large(MAX_EVENT_BYTES + 1))?;
        let event = frame + escaped_len(&body);
        if event > MAX_EVENT_BYTES {
            return Err(Problem::payload_too_large(event));
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Problem::invalid_json(&error))
    }
}

/// The `Idempotency-Key` header, if there is one.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

/// The longest key that is taken.
const MAX_KEY_BYTES: usize = 255;

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        match key.to_str() {
            Ok(key) if is_visible(key, MAX_KEY_BYTES) => Ok(Self(Some(key.to_owned()))),
            _ => Err(Problem::invalid_idempotency_key(MAX_KEY_BYTES)),
        }
    }
}

/// Whether a header says something, in few visible ASCII characters. A space is none.
fn is_visible(value: &str, most: usize) -> bool {
    (1..=most).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What the logs shall know a request and its tasks by: `X-Correlation-Id`, else the request's own id.
#[derive(Debug)]
pub(crate) struct CorrelationId(pub(crate) String);

/// The longest id that is taken.
const MAX_CORRELATION_BYTES: usize = 128;

impl<S: Send + Sync> FromRequestParts<S> for CorrelationId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(id) = parts.headers.get(CORRELATION_ID) else {
            return Ok(Self(request_id(&parts.extensions)));
        };
        match id.to_str() {
            Ok(id) if is_visible(id, MAX_CORRELATION_BYTES) => Ok(Self(id.to_owned())),
            _ => Err(Problem::invalid_correlation_id(MAX_CORRELATION_BYTES)),
        }
    }
}

/// What a request leaves of its invocation, to answer in.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);
/// The time of a request that no Lambda function serves: a test's.
const UNBOUNDED: Duration = Duration::from_secs(3_600);

/// By when the work for a request must be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Instant);

impl<S: Send + Sync> FromRequestParts<S> for Deadline {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let left = parts.extensions.get::<Context>().map_or(UNBOUNDED, |context| {
            let until = context.deadline().duration_since(SystemTime::now());
            until.unwrap_or_default()
        });
        Ok(Self(Instant::now() + left.saturating_sub(ANSWER_MARGIN)))
    }
}

/// By which the log and the caller know a request; empty where no Lambda function serves it.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request_id(&parts.extensions)))
    }
}

pub(crate) fn request_id(extensions: &Extensions) -> String {
    let context = extensions.get::<Context>();
    context.map_or_else(String::new, |context| context.request_id.clone())
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
    fn an_escaped_body_is_measured_as_json_writes_it() {
        for body in ["", r#"{"text": "a\n\"b\""}"#, "\n\r\t\u{1}é😀"] {
            let written = serde_json::to_string(body).unwrap();
            assert_eq!(escaped_len(body.as_bytes()), written.len() - 2, "{body}");
        }
    }
}

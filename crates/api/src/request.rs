//! Reads a request, within what Lambda takes.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use http::{Extensions, HeaderMap};
use lambda_http::Context;
use mesh_http::Problem;
use serde_json::Value;
use tokio::time::Instant;

use crate::middleware::CORRELATION_ID;

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
        let body = body.map_err(|_| Problem::payload_too_large(MAX_EVENT_BYTES + 1, MAX_EVENT_BYTES))?;
        let event = frame + escaped_len(&body);
        if event > MAX_EVENT_BYTES {
            return Err(Problem::payload_too_large(event, MAX_EVENT_BYTES));
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

/// What the logs shall know a request and its tasks by: `X-Correlation-Id`, else the trace of `traceparent`, else the
/// request's own id.
#[derive(Debug)]
pub(crate) struct CorrelationId(pub(crate) String);

/// The longest id that is taken.
const MAX_CORRELATION_BYTES: usize = 128;

impl<S: Send + Sync> FromRequestParts<S> for CorrelationId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match known_as(&parts.headers) {
            Some(id) => Ok(Self(id)),
            None if parts.headers.contains_key(CORRELATION_ID) => {
                Err(Problem::invalid_correlation_id(MAX_CORRELATION_BYTES))
            }
            None => Ok(Self(request_id(&parts.extensions))),
        }
    }
}

/// What a request says itself that it shall be known by. None too if it says that in a way that can't be taken.
pub(crate) fn known_as(headers: &HeaderMap) -> Option<String> {
    let Some(id) = headers.get(CORRELATION_ID) else {
        return headers.get("traceparent")?.to_str().ok().and_then(trace_id);
    };
    let id = id.to_str().ok()?;
    is_visible(id, MAX_CORRELATION_BYTES).then(|| id.to_owned())
}

/// The trace's id in a `traceparent` (W3C Trace Context): `00-<32 hex digits>-<16 hex digits>-<flags>`.
fn trace_id(parent: &str) -> Option<String> {
    let is_hex = |part: &str, digits| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_known = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    let mut parts = parent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_whole = is_hex(version, 2) && version != "ff" && is_known(trace, 32) && is_known(span, 16);
    (is_whole && is_hex(flags, 2)).then(|| trace.to_owned())
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
    fn a_request_is_known_by_its_own_word_else_by_its_trace() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let known = |pairs: &[(&'static str, &'static str)]| {
            let header = |&(name, value): &(&'static str, &'static str)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            };
            known_as(&pairs.iter().map(header).collect())
        };
        let trace = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
        assert_eq!(known(&[("traceparent", parent)]), trace);
        let both = known(&[("traceparent", parent), ("x-correlation-id", "order-42")]);
        assert_eq!(both.as_deref(), Some("order-42"));
        assert_eq!(
            known(&[("traceparent", parent), ("x-correlation-id", "order 42")]),
            None
        );
        for odd in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert_eq!(known(&[("traceparent", odd)]), None, "{odd}");
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

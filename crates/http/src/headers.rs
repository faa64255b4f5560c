//! Headers of a request: the id that its logs share, and the key that makes a repeat safe.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use crate::{Problem, RequestContext};

pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_KEY_BYTES: usize = 255;
const MAX_CORRELATION_BYTES: usize = 128;

/// The `Idempotency-Key` header, if there is one.
#[derive(Debug)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get(IDEMPOTENCY_KEY) else {
            return Ok(Self(None));
        };
        match key.to_str() {
            Ok(key) if is_visible(key, MAX_KEY_BYTES) => Ok(Self(Some(key.to_owned()))),
            _ => Err(Problem::invalid_idempotency_key(MAX_KEY_BYTES)),
        }
    }
}

/// The id that the logs of a request and its tasks share: `X-Correlation-Id`, else the trace of `traceparent`, else the
/// request's own id.
#[derive(Debug)]
pub struct CorrelationId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for CorrelationId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match correlation_id(&parts.headers) {
            Some(id) => Ok(Self(id)),
            None if parts.headers.contains_key(CORRELATION_ID) => {
                Err(Problem::invalid_correlation_id(MAX_CORRELATION_BYTES))
            }
            None => Ok(Self(
                RequestContext::from_extensions(&parts.extensions).request_id,
            )),
        }
    }
}

/// The correlation id that the headers name. `None` too where `X-Correlation-Id` is invalid.
#[must_use]
pub fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let Some(id) = headers.get(CORRELATION_ID) else {
        return headers.get("traceparent")?.to_str().ok().and_then(trace_id);
    };
    let id = id.to_str().ok()?;
    is_visible(id, MAX_CORRELATION_BYTES).then(|| id.to_owned())
}

/// Whether a value has 1 to `max` characters, all of them visible ASCII. A space is not visible.
fn is_visible(value: &str, max: usize) -> bool {
    (1..=max).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The trace's id in a `traceparent` (W3C Trace Context): `00-<32 hex digits>-<16 hex digits>-<flags>`.
fn trace_id(parent: &str) -> Option<String> {
    let is_hex = |part: &str, digits| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_set = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    let mut parts = parent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_valid = is_hex(version, 2) && version != "ff" && is_set(trace, 32) && is_set(span, 16);
    (is_valid && is_hex(flags, 2)).then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correlation_id_is_the_header_s_else_the_trace_s() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let read = |pairs: &[(&'static str, &'static str)]| {
            let header = |&(name, value): &(&'static str, &'static str)| {
                let name = HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            };
            correlation_id(&pairs.iter().map(header).collect())
        };
        let trace = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
        assert_eq!(read(&[("traceparent", parent)]), trace);
        let both = read(&[("traceparent", parent), ("x-correlation-id", "order-42")]);
        assert_eq!(both.as_deref(), Some("order-42"));
        assert_eq!(
            read(&[("traceparent", parent), ("x-correlation-id", "order 42")]),
            None
        );
        for invalid in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert_eq!(read(&[("traceparent", invalid)]), None, "{invalid}");
        }
    }
}

//! How large a request may be and how long it may take.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

use crate::{HOST_MARGIN, Problem, RequestContext};

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

/// Refuses a posted body that is compressed, or whose `Content-Type` is not JSON, except at the path that takes a form.
///
/// # Errors
/// The problem `unsupported-media-type`.
pub async fn require_json(
    State(form_path): State<&'static str>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    if let Some(coding) = content_coding(request.headers()) {
        return Err(Problem::unsupported_content_encoding(&coding));
    }
    if let Some(content_type) = request.headers().get(CONTENT_TYPE)
        && !may_be_json(content_type)
        && request.uri().path() != form_path
    {
        return Err(Problem::unsupported_media_type());
    }
    Ok(next.run(request).await)
}

/// Gives up a request that is not answered [`HOST_MARGIN`] before the host's deadline.
///
/// # Errors
/// The problem `out-of-time`.
pub async fn limit_time(request: Request, next: Next) -> Result<Response, Problem> {
    let until = RequestContext::from_extensions(request.extensions()).deadline_before(HOST_MARGIN);
    let response = tokio::time::timeout_at(until, next.run(request)).await;
    response.map_err(|_| Problem::out_of_time())
}

/// How large the host's event of a request is.
pub(crate) fn event_bytes(parts: &Parts, body: &[u8]) -> usize {
    EVENT_FRAME_BYTES + header_bytes(&parts.headers) + parts.uri.path().len() + escaped_len(body)
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

/// The first coding of a body that makes it other than it is written. `None` for a body without one.
fn content_coding(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut codings = codings.map(<[u8]>::trim_ascii);
    let coding = codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))?;
    Some(String::from_utf8_lossy(coding).into_owned())
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
    fn a_body_is_as_it_is_written_without_a_coding_or_with_identity() {
        let coding = |values: &[&'static str]| {
            let values = values
                .iter()
                .map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value)));
            content_coding(&values.collect())
        };
        for none in [
            &[][..],
            &[""],
            &["identity"],
            &["Identity , identity"],
            &["identity", ","],
        ] {
            assert_eq!(coding(none), None, "{none:?}");
        }
        for (given, name) in [
            (&["gzip"][..], "gzip"),
            (&["GZIP"], "GZIP"),
            (&["br, identity"], "br"),
            (&["identity,deflate"], "deflate"),
            (&["identity", "zstd"], "zstd"),
            (&["gzip;q=1"], "gzip;q=1"),
        ] {
            assert_eq!(coding(given).as_deref(), Some(name), "{given:?}");
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

//! Why there is no stream (RFC 9457), in the words of the API.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use lambda_http::RequestExt;
use mesh_aws::AwsError;
use mesh_http::Denied;
use serde_json::json;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    Unauthorized(Denied),
    NoSuchTask,
    NoSuchAddress,
    MethodNotAllowed,
    BadCursor,
    BadQuery,
    Gone,
    Throttled,
    Unavailable,
}

impl Problem {
    /// Its status, the end of its type, and its detail.
    fn told(self) -> (StatusCode, &'static str, String) {
        let (status, kind, detail) = match self {
            Self::Unauthorized(denied) => {
                return (StatusCode::UNAUTHORIZED, "unauthorized", denied.to_string());
            }
            Self::NoSuchTask => (
                StatusCode::NOT_FOUND,
                "task-not-found",
                "there is no task with this id, or it is not yours",
            ),
            Self::NoSuchAddress => (
                StatusCode::NOT_FOUND,
                "route-not-found",
                "nothing is here: ask for /v1/events, or for /v1/tasks/{id}/events",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "streams are read by GET",
            ),
            Self::BadCursor => (
                StatusCode::BAD_REQUEST,
                "invalid-query",
                "send the id of an event, or the next of GET /v1/changes, as it is",
            ),
            Self::BadQuery => (
                StatusCode::BAD_REQUEST,
                "invalid-query",
                "the one parameter is after; the token goes into a header",
            ),
            Self::Gone => (
                StatusCode::GONE,
                "changes-gone",
                "the changes after this event are not kept any more: read your tasks anew, and follow without Last-Event-ID",
            ),
            Self::Throttled => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "more is asked than the service takes at the moment: try again in a few seconds",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "a service behind the stream did not answer: try again in a few seconds",
            ),
        };
        (status, kind, detail.to_owned())
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::Unauthorized(denied)
    }
}

impl From<AwsError> for Problem {
    fn from(error: AwsError) -> Self {
        tracing::error!(%error, "a stream could not begin");
        if error.is_throttling() {
            Self::Throttled
        } else {
            Self::Unavailable
        }
    }
}

impl IntoResponse for Problem {
    /// Leaves the problem with the response for [`render`], which knows the request.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem that a handler left, and what every answer has: the request id, and what keeps browsers careful.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let context = request.lambda_context_ref();
    let id = context.map_or_else(String::new, |context| context.request_id.clone());
    mesh_telemetry::begin_invocation(&id);
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.document(&id);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Problem {
    fn document(self, request_id: &str) -> Response {
        let (status, kind, detail) = self.told();
        let document = json!({
            "type": format!("urn:ai-mesh:problem:{kind}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": detail,
            "request_id": request_id,
        });
        let mut response = (status, document.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"))
            }
            _ => None,
        };
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_of_each_refusal() {
        let page = include_str!("../../../docs/API.md");
        for problem in [
            Problem::Unauthorized(Denied::NoToken),
            Problem::NoSuchTask,
            Problem::NoSuchAddress,
            Problem::MethodNotAllowed,
            Problem::BadCursor,
            Problem::BadQuery,
            Problem::Gone,
            Problem::Throttled,
            Problem::Unavailable,
        ] {
            let (status, kind, _) = problem.told();
            let told = format!("**{}** `{kind}`", status.as_u16());
            assert!(page.contains(&told), "{told}");
        }
    }

    #[test]
    fn a_refusal_says_how_to_be_let_in_and_a_failure_when_to_come_back() {
        let header = |problem: Problem, name| problem.document("1").headers().get(name).cloned();
        let unauthorized = Problem::Unauthorized(Denied::NoToken);
        assert_eq!(
            header(unauthorized, WWW_AUTHENTICATE),
            Some(HeaderValue::from_static("Bearer"))
        );
        assert_eq!(header(Problem::Gone, WWW_AUTHENTICATE), None);
        for passing in [Problem::Throttled, Problem::Unavailable] {
            assert_eq!(header(passing, RETRY_AFTER), Some(HeaderValue::from_static("5")));
        }
    }
}

//! A problem as the caller gets it.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Problem;
use crate::middleware::{CORRELATION_ID, REQUEST_ID};
use crate::request::{known_as, request_id};

impl Problem {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The document that the caller gets.
    pub(crate) fn document(&self, request_id: &str) -> Value {
        json!(ProblemDocument {
            kind: format!("urn:ai-mesh:problem:{}", self.slug),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
        })
    }
}

/// Why a request was refused, or failed (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// Stable: a client may branch on it.
    #[serde(rename = "type")]
    #[schema(
        pattern = "^urn:ai-mesh:problem:[a-z-]+$",
        example = "urn:ai-mesh:problem:task-not-found"
    )]
    kind: String,
    title: String,
    /// The HTTP status.
    status: u16,
    /// What was wrong and what to do, for people.
    detail: String,
    /// By which the logs know the request.
    request_id: String,
}

impl IntoResponse for Problem {
    /// Leaves the problem with the response for [`render`], which knows the request.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem that a handler left, and the request id on every answer.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let request_id = request_id(request.extensions());
    let known_as = known_as(request.headers()).and_then(|id| HeaderValue::from_str(&id).ok());
    let correlation_id = known_as.or_else(|| request.headers().get(CORRELATION_ID).cloned());
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let body = Json(problem.document(&request_id));
        *response.body_mut() = body.into_response().into_body();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match problem.status {
            StatusCode::UNAUTHORIZED => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"))
            }
            _ => None,
        };
    }
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        let headers = response.headers_mut();
        headers.insert(
            CORRELATION_ID,
            correlation_id.unwrap_or_else(|| request_id.clone()),
        );
        headers.insert(REQUEST_ID, request_id);
    }
    response
}

//! A problem as the caller gets it.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use mesh_http::Problem;

use crate::middleware::{CORRELATION_ID, REQUEST_ID};
use crate::request::{known_as, request_id};

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
        match problem.status() {
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

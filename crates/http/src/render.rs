//! The one place where a problem is written, and where an answer gets its request id and correlation id.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::{CORRELATION_ID, Problem, REQUEST_ID, RequestContext, correlation_id};

/// When a caller whose request failed may send it again, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Writes the problem that the host, a handler or an inner layer left, and both ids on every answer.
pub async fn render(mut request: Request, next: Next) -> Response {
    let RequestContext { request_id, .. } = RequestContext::from_extensions(request.extensions());
    let named = correlation_id(request.headers()).and_then(|id| HeaderValue::from_str(&id).ok());
    // An invalid id is returned too, so that its sender finds the refusal.
    // A host may not be able to send what is not ASCII.
    let given = request
        .headers()
        .get(CORRELATION_ID)
        .filter(|id| id.to_str().is_ok());
    let correlation_id = named.or_else(|| given.cloned());
    let mut response = match request.extensions_mut().remove::<Problem>() {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write(&problem, &request_id, &mut response);
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

fn write(problem: &Problem, request_id: &str, response: &mut Response) {
    let body = Json(problem.document(request_id));
    *response.body_mut() = body.into_response().into_body();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    match problem.status() {
        StatusCode::UNAUTHORIZED => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS)
        }
        _ => None,
    };
}

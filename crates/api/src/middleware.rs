//! What holds for every request, whatever it asks for: limits, time, and the headers that keep browsers careful.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use mesh_http::Problem;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{Any, CorsLayer};

/// More than any client of ours sends; an HTTP API's own limit lies at 10 kB.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Where an earlier system's clients post a form.
const FORM_PATH: &str = "/enqueue";
/// A little less than the function's own time, so that it is the API that answers.
const MAX_TIME: Duration = Duration::from_secs(28);
/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts around the router what does not depend on what is asked.
pub(crate) fn layers<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    origin: Option<&HeaderValue>,
) -> Router<S> {
    let router = router.layer(middleware::from_fn(finish));
    let router = match origin {
        Some(origin) => router.layer(cors(origin)),
        None => router,
    };
    router.layer(CompressionLayer::new())
}

fn cors(origin: &HeaderValue) -> CorsLayer {
    let cors = CorsLayer::new()
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            SERVICE_TOKEN,
            IDEMPOTENCY_KEY,
            CORRELATION_ID,
        ])
        .expose_headers([REQUEST_ID, CORRELATION_ID, RETRY_AFTER, ALLOW])
        .max_age(PREFLIGHT_AGE);
    if origin == "*" {
        cors.allow_origin(Any)
    } else {
        cors.allow_origin(origin.clone())
    }
}

/// Refuses a request whose headers are too large or whose body is no JSON by its own word, and gives up in time.
pub(crate) async fn limit(request: Request, next: Next) -> Result<Response, Problem> {
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > MAX_HEADER_BYTES {
        return Err(Problem::headers_too_large(bytes, MAX_HEADER_BYTES));
    }
    if let Some(content_type) = headers.get(CONTENT_TYPE)
        && request.method() == Method::POST
        && !may_be_json(content_type)
        && request.uri().path() != FORM_PATH
    {
        return Err(Problem::unsupported_media_type());
    }
    match tokio::time::timeout(MAX_TIME, next.run(request)).await {
        Ok(response) => Ok(response),
        Err(_) => Err(Problem::out_of_time()),
    }
}

/// JSON, or what curl calls all that it posts.
fn may_be_json(content_type: &HeaderValue) -> bool {
    let essence = content_type.to_str().unwrap_or_default().split(';').next();
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || essence.ends_with("+json")
        || essence == "application/x-www-form-urlencoded"
}

/// Answers OPTIONS by what is allowed, and tells browsers to take nothing for more than it is.
async fn finish(request: Request, next: Next) -> Response {
    let asks_for_options = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if asks_for_options && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = response.headers_mut().remove(ALLOW);
        let mut options = Response::default();
        *options.status_mut() = StatusCode::NO_CONTENT;
        options.headers_mut().extend(allow.map(|allow| (ALLOW, allow)));
        response = options;
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (REFERRER_POLICY, "no-referrer"),
        (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        // A page may have a policy of its own.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
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
}

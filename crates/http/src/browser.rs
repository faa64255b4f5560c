//! What browsers need: which pages may call, which methods an address allows, and headers that keep a browser careful.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tower_http::cors::{Any, CorsLayer};

use crate::{CORRELATION_ID, REQUEST_ID};

/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

/// Puts around a router what browsers need. Without a [`cors`] layer no page of another origin may call.
pub fn layers<S>(router: Router<S>, cors: Option<CorsLayer>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let router = router.layer(from_fn(answer_options)).layer(from_fn(add_headers));
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Lets pages of an origin call with these methods and headers. The origin `*` stands for any.
pub fn cors<const M: usize, const N: usize>(
    origin: &HeaderValue,
    methods: [Method; M],
    headers: [HeaderName; N],
) -> CorsLayer {
    let cors = CorsLayer::new()
        .allow_methods(methods)
        .allow_headers(headers)
        .expose_headers([REQUEST_ID, CORRELATION_ID, RETRY_AFTER, ALLOW])
        .max_age(PREFLIGHT_AGE);
    if origin == "*" {
        cors.allow_origin(Any)
    } else {
        cors.allow_origin(origin.clone())
    }
}

/// Answers OPTIONS with the methods that the address allows, where no CORS layer has answered it.
async fn answer_options(request: Request, next: Next) -> Response {
    let is_options = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if !is_options || response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allow = response.headers_mut().remove(ALLOW);
    let mut options = Response::default();
    *options.status_mut() = StatusCode::NO_CONTENT;
    options.headers_mut().extend(allow.map(|allow| (ALLOW, allow)));
    options
}

async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
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

//! The layers around the routes: what holds for every request, whatever it asks for.

use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use mesh_http::auth::SERVICE_TOKEN;
use mesh_http::{CORRELATION_ID, IDEMPOTENCY_KEY, browser, limits};
use tower_http::compression::CompressionLayer;

use crate::observe;

/// Where an earlier system's clients post a form.
const FORM_PATH: &str = "/enqueue";
/// A little less than the function's own time, so that it is the API that answers.
const MAX_TIME: Duration = Duration::from_secs(28);

/// Puts the layers around the router. `origin` is the origin whose pages may call the API; `None` allows no page.
pub(crate) fn layers<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    origin: Option<&HeaderValue>,
) -> Router<S> {
    let router = router
        .layer(from_fn_with_state(MAX_TIME, limits::limit_time))
        .layer(from_fn_with_state(FORM_PATH, limits::require_json))
        .layer(from_fn(limits::limit_headers))
        .layer(from_fn(mesh_http::render));
    #[cfg(feature = "faults")]
    let router = router.layer(from_fn(crate::faults::inject));
    let router = router.layer(from_fn(observe::observe));
    let methods = [Method::GET, Method::HEAD, Method::POST];
    let headers = [
        AUTHORIZATION,
        CONTENT_TYPE,
        SERVICE_TOKEN,
        IDEMPOTENCY_KEY,
        CORRELATION_ID,
    ];
    let cors = origin.map(|origin| browser::cors(origin, methods, headers));
    browser::layers(router, cors).layer(CompressionLayer::new())
}

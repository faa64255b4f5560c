//! The layers around the routes: what holds for every request, whatever it asks for.

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

/// Puts the layers around the router. `origin` is the origin whose pages may call the API; `None` allows no page.
pub(crate) fn layers<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    origin: Option<&HeaderValue>,
) -> Router<S> {
    let router = router
        .layer(from_fn(limits::limit_time))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_http::HOST_MARGIN;

    use crate::query::MAX_LIST_TIME;
    use crate::wait::MAX_WAIT;

    const TEMPLATE: &str = include_str!("../../../infra/template.yaml");
    const MANUAL: &str = include_str!("../../../docs/API.md");

    /// The whole number after a key in a resource of the template.
    fn setting(resource: &str, key: &str) -> u64 {
        let (_, rest) = TEMPLATE.split_once(&format!("\n  {resource}:\n")).unwrap();
        let (_, rest) = rest.split_once(&format!(" {key}: ")).unwrap();
        rest.lines().next().unwrap().parse().unwrap()
    }

    #[test]
    fn a_request_ends_when_the_manual_says_and_well_before_the_function_and_the_gateway_give_up() {
        let function = Duration::from_secs(setting("ApiFunction", "Timeout"));
        let gateway = Duration::from_millis(setting("ApiIntegration", "TimeoutInMillis"));
        assert!(function < gateway);
        let request = function - HOST_MARGIN;
        assert!(gateway - request >= Duration::from_secs(5));
        assert!(request - Duration::from_secs(MAX_WAIT) >= Duration::from_secs(5));
        let stated = format!("the request took over {} seconds", request.as_secs());
        assert!(MANUAL.contains(&stated), "docs/API.md does not say: {stated}");
        let stated = format!("after {} seconds", MAX_LIST_TIME.as_secs());
        assert!(MANUAL.contains(&stated), "docs/API.md does not say: {stated}");
    }
}

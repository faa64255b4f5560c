//! One line of the log for every request, from which CloudWatch makes the metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};
use mesh_http::{MatchedRoute, RequestContext, correlation_id};
use mesh_telemetry::{EmfRecord, Metric};
use tracing::Instrument;

/// The route of a request that matches none. Its path would become a metric of its own.
const NO_ROUTE: &str = "none";

/// Serves a request, and logs how long it took and with which status it was answered.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let RequestContext { request_id, .. } = RequestContext::from_extensions(request.extensions());
    let correlation_id = correlation_id(request.headers()).unwrap_or(request_id);
    let path = request.extensions().get::<MatchedPath>();
    let route = route(request.method(), path.map(MatchedPath::as_str));
    let begun = Instant::now();
    let span = tracing::error_span!("request", correlation_id);
    let mut response = next.run(request).instrument(span).await;
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let route = measured_route(&route, response.status());
    measured(route, response.status(), millis)
        .property("correlation_id", correlation_id)
        .write();
    let route = MatchedRoute(route.to_owned());
    response.extensions_mut().insert(route);
    response
}

/// The method and the pattern that the path matched, so that there are no more metrics than routes.
fn route(method: &Method, path: Option<&str>) -> String {
    match (method, path) {
        // A route that answers GET answers HEAD alike.
        (&Method::GET | &Method::HEAD, Some(path)) => format!("GET {path}"),
        (&Method::POST, Some(path)) => format!("POST {path}"),
        _ => NO_ROUTE.to_owned(),
    }
}

/// A method that the route does not have makes no metric either.
fn measured_route(route: &str, status: StatusCode) -> &str {
    if status == StatusCode::METHOD_NOT_ALLOWED {
        NO_ROUTE
    } else {
        route
    }
}

fn measured(route: &str, status: StatusCode, millis: u64) -> EmfRecord {
    EmfRecord::default()
        .with(Metric::RequestDuration, millis)
        .with(Metric::ServerErrors, u64::from(status.is_server_error()))
        .with(Metric::ClientErrors, u64::from(status.is_client_error()))
        .with_nonzero(Metric::ColdStarts, u64::from(mesh_telemetry::is_cold_start()))
        .property("Route", route)
        .property("status", status.as_u16())
        .property("message", "a request was answered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_route_or_method_makes_no_metric_of_its_own() {
        assert_eq!(route(&Method::GET, Some("/v1/tasks/{id}")), "GET /v1/tasks/{id}");
        assert_eq!(route(&Method::HEAD, Some("/health")), "GET /health");
        assert_eq!(route(&Method::POST, None), NO_ROUTE);
        let own = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(route(&own, Some("/v1/tasks")), NO_ROUTE);
        let refused = measured_route("POST /health", StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused, NO_ROUTE);
    }

    #[test]
    fn a_status_counts_as_a_server_error_or_a_client_error() {
        for (status, server, client) in [
            (StatusCode::ACCEPTED, 0, 0),
            (StatusCode::NOT_FOUND, 0, 1),
            (StatusCode::SERVICE_UNAVAILABLE, 1, 0),
        ] {
            let measured = measured("GET /v1/tasks", status, 7);
            assert_eq!(measured.values(Metric::RequestDuration), Some(&[7][..]));
            assert_eq!(
                measured.values(Metric::ServerErrors),
                Some(&[server][..]),
                "{status}"
            );
            assert_eq!(
                measured.values(Metric::ClientErrors),
                Some(&[client][..]),
                "{status}"
            );
        }
    }
}

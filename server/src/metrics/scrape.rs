//! `GET /metrics`, and the measuring of requests.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::Method;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use mesh_backend::Depth;
use mesh_embedded::Embedded;
use mesh_http::{AcceptedKeys, MatchedRoute, Problem, auth};
use prometheus_client::encoding::prometheus_text::{CONTENT_TYPE as TEXT_FORMAT, encode};

use super::{ServerMetrics, label, whole_seconds};

/// The route of a request that matches none. Its path would become a series of its own.
const NO_ROUTE: &str = "none";

/// What a scrape reads.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) metrics: Arc<ServerMetrics>,
    pub(crate) embedded: Arc<Embedded>,
}

/// The route of the metrics, which requires the token.
pub(crate) fn routes(scrape: Scrape, token: AcceptedKeys) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .layer(from_fn_with_state(token, auth::require_token))
        .with_state(Arc::new(scrape))
}

async fn show(State(scrape): State<Arc<Scrape>>) -> Result<Response, Problem> {
    scrape.read_queues().await?;
    scrape.metrics.read_process();
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &scrape.metrics.registry);
    Ok(([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}

impl Scrape {
    /// Reads how many messages each lane has, also those that have none.
    async fn read_queues(&self) -> Result<(), Problem> {
        let now = Timestamp::now();
        for queue in self.embedded.backlog().await? {
            let Depth {
                visible,
                in_flight,
                delayed,
            } = queue.depth;
            for (state, count) in [
                ("visible", visible),
                ("in_flight", in_flight),
                ("delayed", delayed),
            ] {
                self.metrics
                    .queue_messages
                    .get_or_create(&[label("lane", queue.name.clone()), label("state", state)])
                    .set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            let age = queue.visible_since.map(|since| now.duration_since(since));
            let age = age.and_then(|age| age.try_into().ok()).unwrap_or_default();
            self.metrics
                .queue_age
                .get_or_create(&[label("lane", queue.name)])
                .set(whole_seconds(age));
        }
        Ok(())
    }
}

impl ServerMetrics {
    fn read_process(&self) {
        for worker in &self.workers {
            self.tasks_running
                .get_or_create(&[label("worker", worker.worker_kind.as_str())])
                .set(i64::try_from(worker.batches.running()).unwrap_or(i64::MAX));
        }
        // Only Linux has this file. Elsewhere the value stays 0.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = resident_bytes(&status) {
            self.resident_memory.set(bytes);
        }
    }
}

/// The resident memory in a process's status file, which has it in kB.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1_024)
}

/// Measures a request.
pub(crate) async fn measure(
    State(metrics): State<Arc<ServerMetrics>>,
    request: Request,
    next: Next,
) -> Response {
    let own = own_route(&request);
    let begun = Instant::now();
    let response = next.run(request).await;
    let of_api = response.extensions().get::<MatchedRoute>();
    let route = of_api.map(|route| route.0.clone()).or(own);
    let labels = [
        label("route", route.map_or(NO_ROUTE.into(), Cow::Owned)),
        label("status", response.status().as_u16().to_string()),
    ];
    let histogram = metrics.requests.get_or_create(&labels);
    histogram.observe(begun.elapsed().as_secs_f64());
    drop(histogram);
    response
}

/// The route of a request that the API does not answer.
fn own_route(request: &Request) -> Option<String> {
    // Other methods would become series of their own.
    let method = match *request.method() {
        Method::GET | Method::HEAD => "GET",
        Method::PUT => "PUT",
        _ => return None,
    };
    let path = request.extensions().get::<MatchedPath>()?;
    Some(format!("{method} {}", path.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_read_from_the_status_file() {
        let status = "Name:\tmesh-server\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(resident_bytes(status), Some(1_048_576));
        assert_eq!(resident_bytes("VmRSS: many kB"), None);
        assert_eq!(resident_bytes(""), None);
    }
}

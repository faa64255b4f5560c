mod compat;
mod door;
mod metrics;
mod streams;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use clap::Parser;
use http::{Method, Request, Response, StatusCode};
use mesh_embedded::Embedded;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{Parts, router};
use crate::metrics::ServerMetrics;
use crate::settings::{Cli, Settings};

const TOKEN: &str = "a-token";

/// A server without workers.
struct Server {
    router: Router,
    embedded: Arc<Embedded>,
    metrics: Arc<ServerMetrics>,
    stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Cli::parse_from([&["mesh-server"], arguments].concat()).settings;
        let bound = "127.0.0.1:8000".parse().unwrap();
        let own = mesh_embedded::Settings {
            address: settings.listen.address(bound),
            max_receives: Settings::MAX_RECEIVES,
        };
        let embedded = Arc::new(Embedded::open(folder.path(), own).unwrap());
        let metrics = Arc::<ServerMetrics>::default();
        let (stop, stopped) = watch::channel(false);
        let router = router(&Parts {
            settings: &settings,
            embedded: &embedded,
            token: hex::encode(Sha256::digest(TOKEN)).parse().unwrap(),
            metrics: Arc::clone(&metrics),
            bound,
            stopped: &stopped,
        });
        Self {
            router,
            embedded,
            metrics,
            stop,
            _folder: folder,
        }
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The status and the JSON of an answer.
    async fn answer(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.send(request).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// A request of a program, with these headers beside `Host`.
fn request(method: Method, target: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let mut request = Request::builder().method(method).uri(target);
    if headers.iter().all(|(name, _)| *name != "host") {
        request = request.header("host", "127.0.0.1:8000");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}

fn get(target: &str, headers: &[(&str, &str)]) -> Request<Body> {
    request(Method::GET, target, headers).body(Body::empty()).unwrap()
}

fn post(target: &str, headers: &[(&str, &str)], body: &Value) -> Request<Body> {
    let request = request(Method::POST, target, headers).header("content-type", "application/json");
    request.body(Body::from(body.to_string())).unwrap()
}

//! The connections of clients. Each has limits, so that a client that is slow, silent or gone holds none for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::{Listener, ListenerExt};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_http::timeout::RequestBodyTimeoutLayer;

/// What a connection may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many connections are served at the same time. Further ones wait until one ends.
    pub(crate) connections: u32,
    /// How long a TLS handshake may take.
    pub(crate) handshake: Duration,
    /// How long a request's head may take, from the beginning of the connection or the answer before: so a connection may also
    /// be idle for so long.
    pub(crate) head: Duration,
    /// How long a client may pause within a request's body.
    pub(crate) body_pause: Duration,
    /// How long a client may take nothing of what was sent to it, as when its machine has gone.
    pub(crate) untaken: Duration,
}

impl Limits {
    pub(crate) const fn new(connections: u32) -> Self {
        Self {
            connections,
            handshake: Duration::from_secs(10),
            // Longer than the 60 seconds for which nginx and AWS's load balancers keep an idle connection. The one that sends
            // requests should close it: where the server does so, a request that is under way fails.
            head: Duration::from_secs(75),
            body_pause: Duration::from_secs(30),
            untaken: Duration::from_secs(60),
        }
    }
}

/// Listens for clients that take what is sent to them.
pub(crate) fn limit_untaken(listener: TcpListener, limits: Limits) -> impl Listener {
    let milliseconds = u32::try_from(limits.untaken.as_millis()).unwrap_or(u32::MAX);
    listener.tap_io(move |stream| {
        if let Err(error) = set_tcp_user_timeout(stream, milliseconds) {
            tracing::warn!(event = "connection_unlimited", %error, "a connection may wait for its client for ever");
        }
    })
}

/// Serves until `stopped` is true, and then until each request that is under way is answered.
pub(crate) async fn serve(
    mut listener: impl Listener,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    // HTTP/2 has no such limits in hyper, nor has its detection of the version that a client speaks.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let service = Service {
        http,
        router: TowerToHyperService::new(router.layer(RequestBodyTimeoutLayer::new(limits.body_pause))),
        tls: acceptor.map(|acceptor| (acceptor, limits.handshake)),
    };
    let places = Arc::new(Semaphore::new(limits.connections as usize));
    let connections = GracefulShutdown::new();
    loop {
        let (place, stream) = tokio::select! {
            accepted = accept(&mut listener, &places) => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        let (service, watcher, mut stopped) = (service.clone(), connections.watcher(), stopped.clone());
        tokio::spawn(async move {
            service.serve(stream, watcher, &mut stopped).await;
            drop(place);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// Waits for a place first: clients that have none wait in the system's own queue.
async fn accept<L: Listener>(listener: &mut L, places: &Arc<Semaphore>) -> (OwnedSemaphorePermit, L::Io) {
    if places.available_permits() == 0 {
        tracing::warn!(
            event = "connections_exhausted",
            "as many clients are connected as --max-connections allows: further ones wait"
        );
    }
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.expect("nobody closes the semaphore");
    (place, listener.accept().await.0)
}

/// How each connection is served.
#[derive(Clone)]
struct Service {
    http: http1::Builder,
    router: TowerToHyperService<Router>,
    /// The certificate, and how long a handshake may take.
    tls: Option<(TlsAcceptor, Duration)>,
}

impl Service {
    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        watcher: Watcher,
        stopped: &mut watch::Receiver<bool>,
    ) {
        let Some((acceptor, time)) = &self.tls else {
            return self.serve_http(stream, watcher).await;
        };
        let made = tokio::select! {
            made = timeout(*time, acceptor.accept(stream)) => made,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match made {
            Ok(Ok(stream)) => self.serve_http(stream, watcher).await,
            Ok(Err(error)) => {
                tracing::debug!(event = "handshake_failed", %error, "a client made no TLS connection");
            }
            Err(_) => tracing::debug!(
                event = "handshake_timed_out",
                "a client made no TLS connection in time"
            ),
        }
    }

    async fn serve_http(&self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, watcher: Watcher) {
        let connection = self
            .http
            .serve_connection(TokioIo::new(stream), self.router.clone());
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(event = "connection_failed", %error, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests;

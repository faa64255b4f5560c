//! Puts the parts together and serves them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh_embedded::Embedded;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::background;
use crate::connections::{self, Limits};
use crate::metrics::ServerMetrics;
use crate::router::{Parts, router};
use crate::settings::Settings;
use crate::tls;
use crate::token;
use crate::workers;

/// How long running tasks have to end after SIGTERM. A task that takes longer runs again after the next start.
const DRAIN_TIME: Duration = Duration::from_secs(25);

pub(crate) type ServeError = Box<dyn std::error::Error + Send + Sync>;

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn serve(settings: Settings) -> Result<(), ServeError> {
    settings.listen.check()?;
    let certificate = settings
        .listen
        .tls_cert
        .as_deref()
        .zip(settings.listen.tls_key.as_deref());
    let acceptor = certificate
        .map(|(chain, key)| tls::acceptor(chain, key))
        .transpose()?;
    let listen = settings.listen.listen;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|error| format!("can't listen at {listen}: {error}"))?;
    let bound = listener.local_addr()?;
    let address = settings.listen.address(bound);
    let folder = settings.data.clone();
    let own = mesh_embedded::Settings {
        address: address.clone(),
        max_receives: Settings::MAX_RECEIVES,
    };
    let embedded = tokio::task::spawn_blocking(move || Embedded::open(&folder, own)).await??;
    let embedded = Arc::new(embedded);
    let token = token::accepted_keys(&settings.data, &embedded).await?;
    let metrics = Arc::new(ServerMetrics::default());

    let (stop, stopped) = watch::channel(false);
    let workers = workers::start(&embedded, &settings, &metrics, &stopped);
    let background = background::start(&embedded, settings.retention(), &metrics, &stopped);

    let router = router(&Parts {
        settings: &settings,
        embedded: &embedded,
        token,
        metrics,
        bound,
        stopped: &stopped,
    });
    announce(bound, &address, &settings.data);
    #[cfg(feature = "faults")]
    mesh_worker::faults::warn_if_enabled();
    let limits = Limits::new(settings.listen.max_connections);
    let listener = connections::limit_untaken(listener, limits);
    let serving = tokio::spawn(connections::serve(listener, acceptor, router, limits, stopped));
    wait_for_signal().await?;
    tracing::info!(
        event = "server_stopping",
        "the server ends when its running tasks have ended"
    );
    stop.send_replace(true);
    let drained = async {
        if let Ok(Err(error)) = workers.await {
            tracing::error!(event = "workers_failed", %error, "the workers could not be started");
        }
        for task in background {
            let _ = task.await;
        }
        let _ = serving.await;
    };
    if timeout(DRAIN_TIME, drained).await.is_err() {
        tracing::warn!(
            event = "server_drain_incomplete",
            "tasks or requests were still under way; the tasks run again after the next start"
        );
    }
    Ok(())
}

async fn wait_for_signal() -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

fn announce(bound: SocketAddr, url: &str, data: &Path) {
    tracing::info!(event = "server_started", address = %bound, url, data = %data.display(), "the server listens");
}

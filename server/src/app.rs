//! Puts the parts together and serves them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::any_service;
use mesh_api::{ApiState, ModelSettings, Workers};
use mesh_embedded::Embedded;
use mesh_event_stream::Events;
use mesh_http::RequestContext;
use mesh_task::Tenant;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::background;
use crate::payloads;
use crate::settings::Settings;
use crate::token;
use crate::workers::{self, ServerMetrics};

/// How long a request may take, as on AWS.
const REQUEST_TIME: Duration = Duration::from_secs(29);
/// How long a stream of events may take: the client continues in the next one.
const STREAM_TIME: Duration = Duration::from_secs(900);
/// How long running tasks have to end after SIGTERM. A task that takes longer runs again after the next start.
const DRAIN_TIME: Duration = Duration::from_secs(25);

pub(crate) type ServeError = Box<dyn std::error::Error + Send + Sync>;

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn serve(settings: Settings) -> Result<(), ServeError> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| format!("can't listen at {}: {error}", settings.listen))?;
    let address = listener.local_addr()?;
    let folder = settings.data.clone();
    let own = mesh_embedded::Settings {
        address: format!("http://{address}"),
        max_receives: Settings::MAX_RECEIVES,
    };
    let embedded = tokio::task::spawn_blocking(move || Embedded::open(&folder, own)).await??;
    let embedded = Arc::new(embedded);
    let token = token::read_or_make(&settings.data)?;
    let assets = settings.assets.clone().unwrap_or_else(program_folder);
    let metrics = Arc::new(ServerMetrics::default());

    let (stop, stopped) = watch::channel(false);
    let pools = workers::start(&embedded, &settings, &assets, &stopped)?;
    let background = background::start(&embedded, settings.retention(), &stopped);

    let api = ApiState {
        tasks: embedded.tasks(),
        counters: embedded.counters(),
        payloads: embedded.payload_store(),
        queues: embedded.queues(),
        token: token.clone(),
        compat_tenant: settings.compat.then(Tenant::first),
        origin: None,
        events: Some(format!("http://{address}")),
        retention: settings.retention(),
        policies: Settings::policies(),
        sweep_policy: Settings::sweep_policy(),
        models: ModelSettings {
            speech: settings.speech_model.clone(),
            provider: settings
                .language_url
                .as_ref()
                .map_or("none", |_| "openai")
                .to_owned(),
            language: settings.language_model.clone().unwrap_or_default(),
        },
        workers: Workers::new(metrics, workers::functions(&settings)),
        dashboard: Some(
            settings
                .web
                .clone()
                .unwrap_or_else(|| program_folder().join("web")),
        ),
    };
    let events = Events {
        tasks: embedded.tasks(),
        counters: embedded.counters(),
        token,
    };
    let router = router(api, events, &embedded);
    announce(address, &settings.data);
    let mut ending = stopped.clone();
    let end = async move {
        // The sender lives until the end.
        let _ = ending.wait_for(|ending| *ending).await;
    };
    let serving = tokio::spawn(
        axum::serve(listener, router)
            .with_graceful_shutdown(end)
            .into_future(),
    );
    wait_for_signal().await?;
    tracing::info!(
        event = "server_stopping",
        "the server ends when its running tasks have ended"
    );
    stop.send_replace(true);
    let drained = async {
        for pool in pools {
            let _ = pool.await;
        }
        for task in background {
            let _ = task.await;
        }
        let _ = serving.await;
    };
    if timeout(DRAIN_TIME, drained).await.is_err() {
        tracing::warn!(
            event = "server_drain_incomplete",
            "tasks still ran; they run again after the next start"
        );
    }
    Ok(())
}

fn router(api: ApiState, events: Events, embedded: &Arc<Embedded>) -> Router {
    let events = mesh_event_stream::router(events).layer(from_fn(|request: Request, next: Next| {
        give_context(request, next, STREAM_TIME)
    }));
    let api = mesh_api::router(api).layer(from_fn(|request: Request, next: Next| {
        give_context(request, next, REQUEST_TIME)
    }));
    Router::new()
        .route("/v1/events", any_service(events.clone()))
        .route("/v1/tasks/{id}/events", any_service(events))
        .merge(payloads::router(embedded.payloads()))
        .fallback_service(api)
}

/// Gives a request its id and its deadline.
async fn give_context(mut request: Request, next: Next, time: Duration) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    let context = RequestContext::new(id, SystemTime::now() + time);
    request.extensions_mut().insert(context);
    next.run(request).await
}

async fn wait_for_signal() -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

fn announce(address: SocketAddr, data: &Path) {
    tracing::info!(event = "server_started", %address, data = %data.display(), "the server listens");
}

/// The folder of the program.
fn program_folder() -> PathBuf {
    let program = std::env::current_exe().ok();
    program
        .and_then(|program| Some(program.parent()?.to_owned()))
        .unwrap_or_default()
}

//! All routes of the server, and what holds for each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::any_service;
use futures_util::StreamExt;
use mesh_api::{ApiState, ModelSettings, Workers};
use mesh_embedded::Embedded;
use mesh_event_stream::Events;
use mesh_http::{AcceptedKeys, RequestContext, browser};
use mesh_task::Tenant;
use tokio::sync::watch;

use crate::guard;
use crate::metrics::{self, Scrape, ServerMetrics};
use crate::payloads;
use crate::settings::Settings;
use crate::workers;

/// How long a request may take, as on AWS.
const REQUEST_TIME: Duration = Duration::from_secs(29);
/// How long a stream of events may take: the client continues in the next one.
const STREAM_TIME: Duration = Duration::from_secs(900);

/// What the routes work with.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) embedded: &'a Arc<Embedded>,
    pub(crate) token: AcceptedKeys,
    pub(crate) metrics: Arc<ServerMetrics>,
    /// Where the server listens.
    pub(crate) bound: SocketAddr,
    /// Becomes true when the server ends.
    pub(crate) stopped: &'a watch::Receiver<bool>,
}

pub(crate) fn router(parts: &Parts<'_>) -> Router {
    let events = Events {
        tasks: parts.embedded.tasks(),
        counters: parts.embedded.counters(),
        token: parts.token.clone(),
    };
    let events = mesh_event_stream::router(events)
        .layer(from_fn_with_state(parts.stopped.clone(), end_with_server))
        .layer(from_fn(|request: Request, next: Next| {
            give_context(request, next, STREAM_TIME)
        }));
    let guard = Arc::new(parts.settings.listen.guard(parts.bound));
    let scrape = Scrape {
        metrics: Arc::clone(&parts.metrics),
        embedded: Arc::clone(parts.embedded),
    };
    let router = Router::new()
        .route("/v1/events", any_service(events.clone()))
        .route("/v1/tasks/{id}/events", any_service(events))
        .merge(metrics::routes(scrape, parts.token.clone()))
        .merge(payloads::router(parts.embedded.payloads()))
        .fallback_service(mesh_api::router(api(parts)))
        // Outside of all routes and their layers, so that none of them sees what is refused.
        .layer(from_fn_with_state(guard, guard::check))
        .layer(from_fn(mesh_http::render))
        .layer(from_fn_with_state(Arc::clone(&parts.metrics), metrics::measure));
    browser::layers(router, None).layer(from_fn(|request: Request, next: Next| {
        give_context(request, next, REQUEST_TIME)
    }))
}

fn api(parts: &Parts<'_>) -> ApiState {
    let Parts {
        settings, embedded, ..
    } = parts;
    let web = || Settings::program_folder().join("web");
    let provider = settings.language_url.as_ref().map_or("none", |_| "openai");
    ApiState {
        tasks: embedded.tasks(),
        counters: embedded.counters(),
        payloads: embedded.payload_store(),
        queues: embedded.queues(),
        token: parts.token.clone(),
        compat_tenant: settings.compat.then(Tenant::first),
        origin: settings.listen.web_origin(),
        events: Some(settings.listen.address(parts.bound)),
        retention: settings.retention(),
        policies: settings.policies(),
        sweep_policy: Settings::sweep_policy(),
        models: ModelSettings {
            speech: settings.speech_model.clone(),
            provider: provider.to_owned(),
            language: settings.language_model.clone().unwrap_or_default(),
        },
        workers: Workers::new(
            Arc::<ServerMetrics>::clone(&parts.metrics),
            workers::functions(settings),
        ),
        dashboard: Some(settings.web.clone().unwrap_or_else(web)),
    }
}

/// Gives a request its deadline, and its id where it has none yet.
async fn give_context(mut request: Request, next: Next, time: Duration) -> Response {
    let known = request.extensions().get::<RequestContext>();
    let id = known.map_or_else(
        || uuid::Uuid::now_v7().to_string(),
        |context| context.request_id.clone(),
    );
    let context = RequestContext::new(id, SystemTime::now() + time);
    request.extensions_mut().insert(context);
    next.run(request).await
}

/// Ends a stream with the server, which would wait for its end: the client continues after the next start.
async fn end_with_server(
    State(mut stopped): State<watch::Receiver<bool>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    response.map(|body| {
        let stopped = async move {
            // The sender lives as long as the server.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        Body::from_stream(body.into_data_stream().take_until(Box::pin(stopped)))
    })
}

#[cfg(test)]
mod tests;

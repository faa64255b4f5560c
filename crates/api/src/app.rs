//! What is served where.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Router, middleware};
use http::HeaderValue;
use mesh_aws::{Payloads, Queues, StatsTable, TaskTable};
use mesh_http::{Problem, TokenHash, auth};
use mesh_task::{RetryPolicies, SweepPolicy, Tenant};

use crate::models::ModelSettings;
use crate::workers::Workers;
use crate::{
    changes, compat, dashboard, dead_letters, docs, health, models, openapi, stats, tasks, uploads, workers,
};

/// What the handlers work with.
#[derive(Debug)]
pub struct Api {
    pub table: TaskTable,
    pub stats: StatsTable,
    pub payloads: Payloads,
    pub queues: Queues,
    pub token: TokenHash,
    /// As whom the earlier systems' clients act without a token, if they may.
    pub compat_tenant: Option<Tenant>,
    /// Whose pages may call the API, if anyone's.
    pub origin: Option<HeaderValue>,
    /// Where changes are told as they happen, if anywhere.
    pub events: Option<String>,
    /// How long a task is kept.
    pub retention: Duration,
    /// How often a task is tried that does not say it itself.
    pub policies: RetryPolicies,
    /// When the janitor looks at a new task.
    pub sweep_policy: SweepPolicy,
    pub models: ModelSettings,
    pub workers: Workers,
}

impl Api {
    /// The address of a stream of events, if there are any.
    pub(crate) fn events_at(&self, path: &str) -> Option<String> {
        let base = self.events.as_deref()?;
        Some(format!("{}{path}", base.trim_end_matches('/')))
    }
}

/// The whole API. A new route below `/v1` is behind the token by its place.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let v1 = Router::new()
        .route("/tasks", get(tasks::list).post(tasks::submit))
        .route("/tasks/batch", post(tasks::submit_batch))
        .route("/tasks/{id}", get(tasks::show))
        .route("/tasks/{id}/cancel", post(tasks::cancel))
        .route("/tasks/{id}/retry", post(tasks::retry))
        .route("/stats", get(stats::show))
        .route("/changes", get(changes::list))
        .route("/uploads", post(uploads::announce))
        .route("/models", get(models::list))
        .route("/workers", get(workers::list))
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/redrive", post(dead_letters::redrive))
        .fallback(async || Problem::route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::from_fn_with_state(
            api.token.clone(),
            auth::require_token,
        ));
    let router = Router::new()
        .merge(compat::router(&api))
        .route("/health", get(health::health))
        .route("/openapi.json", get(openapi::show))
        .route("/", get(dashboard::page))
        .route("/assets/{file}", get(dashboard::asset))
        .route("/docs", get(docs::page))
        .route("/docs/page.js", get(docs::script))
        .route("/docs/page.css", get(docs::style))
        .nest("/v1", v1)
        .fallback(async || Problem::route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    crate::middleware::layers(router, api.origin.as_ref()).with_state(api)
}

//! What is served where.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use mesh_cloud::{Payloads, Queue, TaskTable};
use mesh_task::Modality;
use serde_json::{Value, json};

use crate::auth::{self, TokenHash};
use crate::problem::{self, Problem};
use crate::tasks;

/// What the handlers work with.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) table: TaskTable,
    pub(crate) payloads: Payloads,
    pub(crate) text_queue: Queue,
    pub(crate) image_queue: Queue,
    pub(crate) token: TokenHash,
    /// How long a task is kept.
    pub(crate) retention: Duration,
}

impl Api {
    pub(crate) fn queue(&self, modality: Modality) -> &Queue {
        match modality {
            Modality::Text => &self.text_queue,
            Modality::Image => &self.image_queue,
        }
    }
}

/// The whole API. A new route below `/v1` is behind the token by its place.
pub(crate) fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let v1 = Router::new()
        .route("/tasks", post(tasks::submit))
        .route("/tasks/{id}", get(tasks::show))
        .fallback(async || Problem::route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::from_fn_with_state(
            Arc::clone(&api),
            auth::require_token,
        ));
    Router::new()
        .route("/health", get(health))
        .nest("/v1", v1)
        .fallback(async || Problem::route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::from_fn(problem::render))
        .with_state(api)
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

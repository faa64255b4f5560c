//! All routes. [`crate::middleware::layers`] puts the layers around them.
//!
//! A documented route is declared once: by `#[utoipa::path]` at its handler, and by the handler's name here or in
//! [`compat`]. Both the router and the OpenAPI document are made of that. Plain routes serve pages and the document itself.

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use axum::routing::get;
use axum::{Router, middleware};
use mesh_http::{Problem, auth};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::openapi::ApiDoc;
use crate::state::ApiState;
use crate::{
    changes, compat, dashboard, dead_letters, docs, health, models, openapi, stats, tasks, uploads, workers,
};

/// The routes below `/v1`. Each of them requires the token, because [`router`] nests them behind it.
fn v1() -> OpenApiRouter<Arc<ApiState>> {
    OpenApiRouter::default()
        .routes(routes!(tasks::list::list, tasks::submit::submit))
        .routes(routes!(tasks::batch::submit_batch))
        .routes(routes!(tasks::show::show))
        .routes(routes!(tasks::change::cancel))
        .routes(routes!(tasks::change::retry))
        .routes(routes!(uploads::announce))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::redrive))
        .routes(routes!(changes::list))
        .routes(routes!(stats::show))
        .routes(routes!(models::list))
        .routes(routes!(workers::list))
}

/// The whole API.
pub fn router(api: ApiState) -> Router {
    let api = Arc::new(api);
    let (v1, v1_document) = v1().split_for_parts();
    let v1 = v1
        .fallback(async || Problem::route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::from_fn_with_state(
            api.token.clone(),
            auth::require_token,
        ));
    let (router, document) = OpenApiRouter::with_openapi(ApiDoc::openapi())
        .merge(compat::routes(&api))
        .routes(routes!(health::health))
        .split_for_parts();
    let document = document.nest("/v1", v1_document);
    let router = router
        .route("/openapi.json", openapi::route(document))
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

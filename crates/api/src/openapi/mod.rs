//! `GET /openapi.json`: what the API takes and answers, as an OpenAPI 3.1 document.
//!
//! Types and handlers say it of themselves; here it is put together, and what holds for all of them is said once. The
//! document is made when it is first asked for: a cold start does not pay for it.

mod compat;
mod complete;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use utoipa::OpenApi;

use mesh_http::ProblemDocument;

use crate::{changes, dead_letters, health, models, stats, tasks, uploads, workers};

/// In the order of the documentation.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "AI Mesh",
        description = "A serverless queue for AI tasks: submit a text, an image or a recording, then wait for its result.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        tasks::submit::submit,
        tasks::batch::submit_batch,
        tasks::list::list,
        tasks::show::show,
        tasks::change::cancel,
        tasks::change::retry,
        uploads::announce,
        dead_letters::list,
        dead_letters::redrive,
        changes::list,
        stats::show,
        models::list,
        workers::list,
        health::health,
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "tasks", description = "Tasks, from submission to result."),
        (name = "uploads", description = "Contents that are too large for a request."),
        (name = "dead letters", description = "Tasks whose attempts were all in vain."),
        (name = "operations", description = "What goes on in the stack."),
    ),
)]
struct Told;

/// Answers with the document.
pub(crate) async fn show() -> Response {
    static WRITTEN: OnceLock<String> = OnceLock::new();
    let body = WRITTEN.get_or_init(|| document().to_string()).as_str();
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The whole document.
fn document() -> Value {
    let mut document = serde_json::json!(Told::openapi());
    compat::add(&mut document);
    complete::complete(&mut document);
    document
}

//! `GET /openapi.json`: what the API accepts and answers, as an OpenAPI 3.1 document.
//!
//! The router's declarations make its operations and their schemas; `complete` adds what all operations have in common.
//! A cold start makes the declarations with the router, which takes 1 to 2 ms (measured in an optimized build). The rest,
//! which is longer, is done when the document is first requested.

mod complete;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use axum::routing::{MethodRouter, get};
use http::header::CONTENT_TYPE;
use mesh_api_types::ProblemDocument;
use serde_json::Value;
use utoipa::OpenApi;

/// The document without its operations. Tags are in the order of the documentation.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "AI Mesh",
        description = "A serverless queue for AI tasks: submit a text, an image or a recording, then wait for its result.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "tasks", description = "Tasks, from submission to result."),
        (name = "uploads", description = "Contents that are too large for a request."),
        (name = "dead letters", description = "Tasks that failed after every attempt, and can be given new ones."),
        (name = "operations", description = "The state of the stack."),
        (name = "earlier systems", description = "Routes that keep the clients of four earlier systems working. New clients should not use them."),
    ),
)]
pub(crate) struct ApiDoc;

/// The route that serves the document of these declarations.
pub(crate) fn route<S: Clone + Send + Sync + 'static>(declared: utoipa::openapi::OpenApi) -> MethodRouter<S> {
    let written = Arc::new(LazyLock::new(move || document(&declared).to_string()));
    get(async move || ([(CONTENT_TYPE, "application/json")], String::clone(&written)))
}

fn document(declared: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::json!(declared);
    complete::complete(&mut document);
    document
}

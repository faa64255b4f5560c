//! Calls to AWS that fail while a request is served that asks for it, for tests.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

/// Says what goes wrong, in the words of `mesh_cloud::faults`.
const HEADER: &str = "x-ai-mesh-fault";

/// Serves a request with the faults of its header.
pub(crate) async fn strike(request: Request, next: Next) -> Response {
    let faults = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok());
    let faults = faults.unwrap_or_default().to_owned();
    mesh_cloud::faults::scope(&faults, next.run(request)).await
}

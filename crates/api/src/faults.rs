//! For tests: lets a request name the AWS calls that fail while it is served, and reports what it cost.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

/// The faults to inject, in the grammar of `mesh_aws::faults`.
const HEADER: &str = "x-ai-mesh-fault";
/// The request's calls to AWS, as JSON.
const METER: &str = "x-ai-mesh-meter";

/// Serves a request with the faults of its header.
pub(crate) async fn inject(request: Request, next: Next) -> Response {
    let faults = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok());
    let faults = faults.unwrap_or_default().to_owned();
    let served = mesh_aws::faults::scope(&faults, next.run(request));
    let (mut response, metered) = mesh_aws::meter::metered(served).await;
    let metered = serde_json::json!(metered).to_string();
    if let Ok(metered) = metered.parse() {
        response.headers_mut().insert(METER, metered);
    }
    response
}

//! A problem as the caller gets it.

use serde::Serialize;

use super::Problem;

/// Why a request was refused, or failed (RFC 9457).
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Problem))]
pub struct ProblemDocument {
    /// Stable: a client may branch on it.
    #[serde(rename = "type")]
    #[cfg_attr(
        feature = "openapi",
        schema(
            pattern = "^urn:ai-mesh:problem:[a-z-]+$",
            example = "urn:ai-mesh:problem:task-not-found"
        )
    )]
    kind: String,
    title: String,
    /// The HTTP status.
    status: u16,
    /// What was wrong and what to do, for people.
    detail: String,
    /// By which the logs know the request.
    request_id: String,
}

impl ProblemDocument {
    pub(super) fn new(problem: &Problem, request_id: &str) -> Self {
        Self {
            kind: format!("urn:ai-mesh:problem:{}", problem.kind.slug()),
            title: problem.kind.title().to_owned(),
            status: problem.status().as_u16(),
            detail: problem.detail.clone(),
            request_id: request_id.to_owned(),
        }
    }
}

//! The body of every response that is not a success.

use serde::{Deserialize, Serialize};

/// Why a request was refused, or failed (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Problem))]
#[error("{title}: {detail} ({status}, request {request_id})")]
pub struct ProblemDocument {
    /// Stable, so that a client can branch on it.
    #[serde(rename = "type")]
    #[cfg_attr(
        feature = "openapi",
        schema(
            pattern = "^urn:ai-mesh:problem:[a-z-]+$",
            example = "urn:ai-mesh:problem:task-not-found"
        )
    )]
    pub kind: String,
    /// The same for every problem of a type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request and what to do, for people.
    pub detail: String,
    /// Finds the request in the functions' logs.
    pub request_id: String,
}

impl ProblemDocument {
    /// The last part of the type, such as `task-not-found`.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}

//! Responses to submissions and uploads.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mesh_task::{Status, TaskId, TaskType, UploadId};
use serde::{Deserialize, Serialize};

use crate::ProblemDocument;

/// A task that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AcceptedTask))]
pub struct SubmitResponse {
    pub id: TaskId,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// `pending`, unless an earlier request with the same idempotency key created the task.
    pub status: Status,
    pub links: SubmitLinks,
}

/// Paths below the API's address, and the address of the task's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Links))]
pub struct SubmitLinks {
    #[serde(rename = "self")]
    pub itself: String,
    /// Responds when the task is final, or after 20 seconds.
    pub wait: String,
    /// The address of the task's changes as server-sent events. Absent if the stack has no event stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub events: Option<String>,
}

/// The outcome of each entry of a batch, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = BatchResults))]
pub struct BatchResponse {
    pub results: Vec<BatchResult>,
}

/// The response that a request for this task alone would have received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchResult {
    /// The HTTP status.
    pub status: u16,
    /// Absent if the entry was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub task: Option<SubmitResponse>,
    /// Absent if the entry was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub problem: Option<ProblemDocument>,
}

/// The request to send to the storage. It uploads exactly the content that was announced, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Upload))]
pub struct UploadTicket {
    pub id: UploadId,
    /// The HTTP method: `PUT`.
    pub method: String,
    /// A signed address, which needs no token.
    pub url: String,
    /// Send all of them. The signature covers them.
    pub headers: BTreeMap<String, String>,
    /// The upload must start before then.
    pub expires_at: Timestamp,
}

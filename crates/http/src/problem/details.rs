//! Problems whose detail has one wording, wherever they arise.

use mesh_task::{Status, UploadId};

use super::{Problem, ProblemKind};

impl Problem {
    #[must_use]
    pub fn task_not_found() -> Self {
        Self::new(
            ProblemKind::TaskNotFound,
            "task not found: check the id. Tasks are deleted after the retention period.",
        )
    }

    #[must_use]
    pub fn task_is_final(status: Status) -> Self {
        let status = status.as_str();
        Self::new(
            ProblemKind::TaskIsFinal,
            format!("the task is {status}: only tasks that are not final can be cancelled"),
        )
    }

    #[must_use]
    pub fn task_not_retryable(status: Status) -> Self {
        let status = status.as_str();
        Self::new(
            ProblemKind::TaskNotRetryable,
            format!("the task is {status}: only failed or cancelled tasks can be retried"),
        )
    }

    #[must_use]
    pub fn upload_not_found(id: UploadId) -> Self {
        Self::new(
            ProblemKind::UploadNotFound,
            format!(
                "no complete upload {id}: PUT the content to the URL from POST /v1/uploads, then submit the task"
            ),
        )
    }

    #[must_use]
    pub fn route_not_found() -> Self {
        Self::new(
            ProblemKind::RouteNotFound,
            "nothing is served at this address: check the path. The API's /docs page lists all routes.",
        )
    }

    #[must_use]
    pub fn no_dashboard() -> Self {
        Self::new(
            ProblemKind::NoDashboard,
            "this API has no dashboard: run `cargo xtask web`, then build and deploy again. The API is described at /docs.",
        )
    }

    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            ProblemKind::MethodNotAllowed,
            "this address does not allow this method: use one of those in the Allow header",
        )
    }

    #[must_use]
    pub fn payload_too_large(bytes: usize, max: usize) -> Self {
        Self::new(
            ProblemKind::PayloadTooLarge,
            format!(
                "the request has {bytes} bytes, the limit is {max}: upload the content with POST /v1/uploads, and send \
                 {{\"upload\": id}} in its place"
            ),
        )
    }

    #[must_use]
    pub fn headers_too_large(bytes: usize, max: usize) -> Self {
        Self::new(
            ProblemKind::HeadersTooLarge,
            format!("the headers have {bytes} bytes, the limit is {max}: send fewer or shorter headers"),
        )
    }

    #[must_use]
    pub fn unsupported_media_type() -> Self {
        Self::new(
            ProblemKind::UnsupportedMediaType,
            "the Content-Type is not JSON: send the body as JSON with Content-Type: application/json",
        )
    }

    #[must_use]
    pub fn unsupported_content_encoding(coding: &str) -> Self {
        Self::new(
            ProblemKind::UnsupportedMediaType,
            format!(
                "Content-Encoding {coding} is not supported: send the body uncompressed, without this header"
            ),
        )
    }

    /// The host received what is not a request.
    pub fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidRequest, detail)
    }

    pub fn invalid_body(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidBody, detail)
    }

    #[must_use]
    pub fn invalid_json(error: &serde_json::Error) -> Self {
        Self::new(
            ProblemKind::InvalidJson,
            format!("the body is not valid JSON: {error}"),
        )
    }

    pub fn invalid_task(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidTask, detail)
    }

    pub fn invalid_query(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidQuery, detail)
    }

    #[must_use]
    pub fn invalid_correlation_id(max: usize) -> Self {
        Self::new(
            ProblemKind::InvalidCorrelationId,
            format!(
                "X-Correlation-Id is invalid: send 1 to {max} visible ASCII characters, or leave the header out"
            ),
        )
    }

    #[must_use]
    pub fn invalid_idempotency_key(max: usize) -> Self {
        Self::new(
            ProblemKind::InvalidIdempotencyKey,
            format!("Idempotency-Key is invalid: send 1 to {max} visible ASCII characters, such as a UUID"),
        )
    }

    #[must_use]
    pub fn idempotency_key_reused() -> Self {
        Self::new(
            ProblemKind::IdempotencyKeyReused,
            "this Idempotency-Key came with another body in the last 24 hours: send a new key for a new task",
        )
    }

    #[must_use]
    pub fn changes_gone() -> Self {
        Self::new(
            ProblemKind::ChangesGone,
            "the changes after this cursor are deleted: read your tasks again, then follow without a cursor",
        )
    }

    /// The handlers did not answer in time.
    #[must_use]
    pub fn out_of_time() -> Self {
        Self::new(
            ProblemKind::OutOfTime,
            "the request took too long: send it again in a few seconds, with the same Idempotency-Key",
        )
    }

    #[must_use]
    pub fn too_many_requests() -> Self {
        Self::new(
            ProblemKind::TooManyRequests,
            "a service behind the API limits the request rate: send the request again after Retry-After seconds",
        )
    }

    /// Something that the API needs did not answer. The same request may succeed later.
    #[must_use]
    pub fn service_unavailable() -> Self {
        Self::new(
            ProblemKind::Unavailable,
            "a service behind the API did not answer: send the same request again in a few seconds",
        )
    }

    /// The disk is full. The same request succeeds once somebody has made room.
    #[must_use]
    pub fn insufficient_storage() -> Self {
        Self::new(
            ProblemKind::InsufficientStorage,
            "the server's disk is full: make room on it, then send the same request again",
        )
    }

    /// An answer could not be written as JSON. Logs why.
    #[must_use]
    pub fn unwritable(error: serde_json::Error) -> Self {
        tracing::error!(event = "request_failed", %error, "an answer could not be written as JSON");
        Self::service_unavailable()
    }
}

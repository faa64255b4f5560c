//! Every answer that is not a success: problem details (RFC 9457).
//!
//! `type` is a contract: a client may branch on it. `detail` is a sentence for people that says what to do. What is
//! wrong on the inside goes to the log, under the request id that the caller is given, and never into an answer.

mod render;

use http::StatusCode;
use mesh_access::Denied;
use mesh_aws::AwsError;
use mesh_task::{InvalidInput, InvalidSubmission, Status, SubmissionRefusal, UploadId};

use crate::request::MAX_EVENT_BYTES;
pub(crate) use render::{ProblemDocument, render};

/// A detail that echoes what was sent must not grow with it.
const MAX_DETAIL_BYTES: usize = 1_024;

/// A refusal, or a failure of ours.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The stable part of `type`.
    slug: &'static str,
    title: &'static str,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL_BYTES {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
            detail.push('…');
        }
        Self {
            status,
            slug,
            title,
            detail,
        }
    }

    pub(crate) fn unauthorized(denied: Denied) -> Self {
        let title = match denied {
            Denied::NoToken => "A token is required",
            Denied::WrongToken => "The token is not accepted",
        };
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            title,
            denied.to_string(),
        )
    }

    pub(crate) fn task_not_found() -> Self {
        let detail = "no task of yours has this id: check it; tasks are kept for a limited time";
        Self::new(
            StatusCode::NOT_FOUND,
            "task-not-found",
            "There is no such task",
            detail,
        )
    }

    pub(crate) fn upload_not_found(id: UploadId) -> Self {
        let detail = format!(
            "no upload {id} of yours is complete: PUT the content to the address that POST /v1/uploads answered, then \
             submit the task"
        );
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "upload-not-found",
            "There is no such upload",
            detail,
        )
    }

    pub(crate) fn invalid_upload(error: InvalidInput) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-upload",
            "The upload can't be taken",
            error.0,
        )
    }

    pub(crate) fn route_not_found() -> Self {
        let detail = "nothing is served at this address: tasks are at /v1/tasks, /v1/tasks/batch and /v1/tasks/{id}, uploads at /v1/uploads, models at /v1/models, workers at /v1/workers, counters at /v1/stats, changes at /v1/changes, dead letters at /v1/dead-letters";
        Self::new(
            StatusCode::NOT_FOUND,
            "route-not-found",
            "There is no such address",
            detail,
        )
    }

    pub(crate) fn no_dashboard() -> Self {
        let detail = "this API was built without its dashboard: run cargo xtask web, then build and deploy the functions again; /docs shows the API";
        Self::new(
            StatusCode::NOT_FOUND,
            "no-dashboard",
            "There is no dashboard here",
            detail,
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "this address does not take this method: the Allow header names those it takes";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The method is not allowed here",
            detail,
        )
    }

    pub(crate) fn payload_too_large(bytes: usize) -> Self {
        let detail = format!(
            "the request takes {bytes} bytes and may take {MAX_EVENT_BYTES}: upload the content by POST /v1/uploads, and \
             send {{\"upload\": id}} in its place"
        );
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload-too-large",
            "The request is too large",
            detail,
        )
    }

    pub(crate) fn headers_too_large(bytes: usize, most: usize) -> Self {
        let detail =
            format!("the headers take {bytes} bytes and may take {most}: send fewer or shorter ones");
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers-too-large",
            "The headers are too large",
            detail,
        )
    }

    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "the body must be JSON: send it with Content-Type: application/json";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The type of the body is not taken",
            detail,
        )
    }

    pub(crate) fn out_of_time() -> Self {
        let detail = "the request took too long: send it again in a few seconds, with its Idempotency-Key if it has one";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "out-of-time",
            "The request took too long",
            detail,
        )
    }

    pub(crate) fn invalid_correlation_id(most: usize) -> Self {
        let detail = format!(
            "X-Correlation-Id takes 1 to {most} visible ASCII characters: leave it out, or send a shorter one"
        );
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-correlation-id",
            "The correlation id can't be used",
            detail,
        )
    }

    pub(crate) fn invalid_json(error: &serde_json::Error) -> Self {
        let detail = format!("the body is not JSON: {error}");
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-json",
            "The body can't be read",
            detail,
        )
    }

    pub(crate) fn invalid_compat(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-task",
            "The body is not a task",
            detail,
        )
    }

    /// An answer of ours that can't be written as JSON.
    pub(crate) fn unwritable(error: &serde_json::Error) -> Self {
        tracing::error!(%error, "an answer could not be written");
        Self::left_undone()
    }

    pub(crate) fn invalid_query(detail: String) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-query",
            "The query can't be read",
            detail,
        )
    }

    pub(crate) fn invalid_cursor() -> Self {
        Self::invalid_query(
            "cursor: it is not of this list: send the next_cursor of an answer as it is, with the same filters"
                .to_owned(),
        )
    }

    pub(crate) fn invalid_idempotency_key(most: usize) -> Self {
        let detail =
            format!("Idempotency-Key takes 1 to {most} visible ASCII characters: a random UUID, say");
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-idempotency-key",
            "The idempotency key can't be used",
            detail,
        )
    }

    pub(crate) fn idempotency_key_reused() -> Self {
        let detail = "this Idempotency-Key came with another request in the last 24 hours: send a new key with a new task";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The idempotency key stands for another request",
            detail,
        )
    }

    pub(crate) fn invalid_batch(detail: String) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-batch",
            "The body is not a batch of tasks",
            detail,
        )
    }

    pub(crate) fn invalid_redrive(detail: String) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-redrive",
            "The body does not say what to redrive",
            detail,
        )
    }

    pub(crate) fn task_is_final(status: Status) -> Self {
        let status = status.as_str();
        let detail = format!("the task is {status}: only one that is not final can be cancelled");
        Self::new(StatusCode::CONFLICT, "task-is-final", "The task is final", detail)
    }

    pub(crate) fn task_not_retryable(status: Status) -> Self {
        let status = status.as_str();
        let detail = format!("the task is {status}: only one that is failed or cancelled can be retried");
        Self::new(
            StatusCode::CONFLICT,
            "task-not-retryable",
            "The task can't be retried",
            detail,
        )
    }

    pub(crate) fn invalid_wait(given: &str, most: u64) -> Self {
        let detail = format!("wait={given} is not a whole number of seconds from 0 to {most}");
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-wait",
            "The wait can't be read",
            detail,
        )
    }

    pub(crate) fn changes_gone() -> Self {
        let detail = "the changes after this cursor are not kept any more: read your tasks anew, and follow from the next of \
                      a request without after";
        Self::new(
            StatusCode::GONE,
            "changes-gone",
            "The changes are not kept any more",
            detail,
        )
    }

    /// Something that the API needs did not answer; the same request may succeed later.
    pub(crate) fn unavailable(error: &AwsError) -> Self {
        tracing::error!(%error, "a request failed");
        if error.is_throttling() {
            return Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too much is asked at once",
                "more is asked than the service takes at the moment: send the same request again after the seconds of Retry-After",
            );
        }
        Self::left_undone()
    }

    /// The same, where the log knows already.
    pub(crate) fn left_undone() -> Self {
        let detail = "a service behind the API did not answer: send the same request again in a few seconds";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The service is not available",
            detail,
        )
    }
}

impl From<InvalidSubmission> for Problem {
    fn from(invalid: InvalidSubmission) -> Self {
        let (slug, title) = match invalid.refusal {
            SubmissionRefusal::Shape => ("invalid-task", "The body is not a task"),
            SubmissionRefusal::TaskType => ("unknown-task-type", "There is no such task type"),
            SubmissionRefusal::Input => ("invalid-input", "The input can't be used"),
            SubmissionRefusal::Limits => ("invalid-limits", "The limits can't be used"),
            SubmissionRefusal::Priority => ("invalid-priority", "The priority can't be used"),
            SubmissionRefusal::Metadata => ("invalid-metadata", "The metadata can't be used"),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, slug, title, invalid.message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The slugs above: no other literal is of small letters and hyphens alone.
    fn slugs() -> BTreeSet<&'static str> {
        let is_slug = |text: &&str| {
            !text.is_empty() && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase())
        };
        let (code, _) = include_str!("problem.rs").split_once("#[cfg(test)]").unwrap();
        code.split('"').filter(is_slug).collect()
    }

    /// Those of the page's table.
    fn documented() -> BTreeSet<&'static str> {
        let (_, table) = include_str!("../../../docs/API.md")
            .split_once("## Problems")
            .unwrap();
        let types = table.split('`').filter_map(|code| {
            code.strip_prefix("urn:ai-mesh:problem:")
                .or_else(|| code.strip_prefix("...:"))
        });
        types.collect()
    }

    #[test]
    fn the_page_lists_every_problem_and_no_other() {
        assert_eq!(documented(), slugs());
    }

    #[test]
    fn an_echo_does_not_grow_with_the_request() {
        let error = serde_json::from_str::<u8>(&format!("\"{}\"", "é".repeat(100_000))).unwrap_err();
        assert!(Problem::invalid_json(&error).detail.len() <= MAX_DETAIL_BYTES + '…'.len_utf8());
    }
}

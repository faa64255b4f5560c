//! The kinds of problems: the one table of their status, slug and title.

use http::StatusCode;
use strum::VariantArray;

/// What kind of problem it is. A new kind also needs a row in the table of docs/API.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum ProblemKind {
    ChangesGone,
    ForeignPage,
    HeadersTooLarge,
    IdempotencyKeyReused,
    InsufficientStorage,
    InvalidBatch,
    InvalidBody,
    InvalidCorrelationId,
    InvalidIdempotencyKey,
    InvalidInput,
    InvalidJson,
    InvalidLimits,
    InvalidMetadata,
    InvalidPriority,
    InvalidQuery,
    InvalidRedrive,
    InvalidRequest,
    InvalidTask,
    InvalidUpload,
    InvalidWait,
    MethodNotAllowed,
    MisdirectedRequest,
    NoDashboard,
    OutOfTime,
    PayloadTooLarge,
    RouteNotFound,
    TaskIsFinal,
    TaskNotFound,
    TaskNotRetryable,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnknownTaskType,
    UnsupportedMediaType,
    UploadNotFound,
}

impl ProblemKind {
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.row().0
    }

    /// The end of `urn:ai-mesh:problem:<slug>`, which clients may branch on.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.row().1
    }

    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().2
    }

    #[rustfmt::skip]
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidCorrelationId => (StatusCode::BAD_REQUEST, "invalid-correlation-id", "Invalid correlation id"),
            Self::InvalidIdempotencyKey => (StatusCode::BAD_REQUEST, "invalid-idempotency-key", "Invalid idempotency key"),
            Self::InvalidJson => (StatusCode::BAD_REQUEST, "invalid-json", "Invalid JSON"),
            Self::InvalidQuery => (StatusCode::BAD_REQUEST, "invalid-query", "Invalid query"),
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid-request", "Invalid request"),
            Self::InvalidWait => (StatusCode::BAD_REQUEST, "invalid-wait", "Invalid wait"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Token missing or wrong"),
            Self::ForeignPage => (StatusCode::FORBIDDEN, "foreign-page", "Page of another origin"),
            Self::NoDashboard => (StatusCode::NOT_FOUND, "no-dashboard", "Dashboard not installed"),
            Self::RouteNotFound => (StatusCode::NOT_FOUND, "route-not-found", "Address not found"),
            Self::TaskNotFound => (StatusCode::NOT_FOUND, "task-not-found", "Task not found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
            Self::TaskIsFinal => (StatusCode::CONFLICT, "task-is-final", "Task is final"),
            Self::TaskNotRetryable => (StatusCode::CONFLICT, "task-not-retryable", "Task can't be retried"),
            Self::ChangesGone => (StatusCode::GONE, "changes-gone", "Changes deleted"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", "Request too large"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type"),
            Self::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency key reused"),
            Self::MisdirectedRequest => (StatusCode::MISDIRECTED_REQUEST, "misdirected-request", "Host not served"),
            Self::InvalidBatch => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-batch", "Invalid batch"),
            Self::InvalidBody => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-body", "Invalid body"),
            Self::InvalidInput => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-input", "Invalid input"),
            Self::InvalidLimits => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-limits", "Invalid limits"),
            Self::InvalidMetadata => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-metadata", "Invalid metadata"),
            Self::InvalidPriority => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-priority", "Invalid priority"),
            Self::InvalidRedrive => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-redrive", "Invalid redrive"),
            Self::InvalidTask => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-task", "Invalid task"),
            Self::InvalidUpload => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-upload", "Invalid upload"),
            Self::UnknownTaskType => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-task-type", "Unknown task type"),
            Self::UploadNotFound => (StatusCode::UNPROCESSABLE_ENTITY, "upload-not-found", "Upload not found"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests"),
            Self::HeadersTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "Headers too large"),
            Self::OutOfTime => (StatusCode::SERVICE_UNAVAILABLE, "out-of-time", "Request timed out"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable"),
            Self::InsufficientStorage => (StatusCode::INSUFFICIENT_STORAGE, "insufficient-storage", "Disk full"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/API.md");

    /// The slugs of the page's table, each with its status.
    fn documented() -> BTreeMap<&'static str, u16> {
        let (_, table) = PAGE.split_once("## Problems").unwrap();
        let mut documented = BTreeMap::new();
        for row in table.lines().filter(|row| row.contains("urn:ai-mesh:problem:")) {
            let cells: Vec<_> = row.split('|').collect();
            let status = cells[2].trim().parse().unwrap();
            let slugs = cells[1].split('`').filter_map(|code| {
                code.strip_prefix("urn:ai-mesh:problem:")
                    .or_else(|| code.strip_prefix("...:"))
            });
            documented.extend(slugs.map(|slug| (slug, status)));
        }
        documented
    }

    #[test]
    fn the_page_lists_every_kind_with_its_status_and_no_other() {
        let kinds = ProblemKind::VARIANTS.iter();
        let kinds: BTreeMap<_, _> = kinds.map(|kind| (kind.slug(), kind.status().as_u16())).collect();
        assert_eq!(documented(), kinds);
    }

    #[test]
    fn each_kind_has_a_slug_and_a_title_of_its_own() {
        let kinds = ProblemKind::VARIANTS;
        let slugs: BTreeSet<_> = kinds.iter().map(|kind| kind.slug()).collect();
        let titles: BTreeSet<_> = kinds.iter().map(|kind| kind.title()).collect();
        assert_eq!((slugs.len(), titles.len()), (kinds.len(), kinds.len()));
        for kind in kinds {
            let is_plain = |byte: u8| byte == b'-' || byte.is_ascii_lowercase();
            assert!(kind.slug().bytes().all(is_plain), "{kind:?}");
            assert!(
                kind.status().is_client_error() || kind.status().is_server_error(),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn the_page_lists_what_a_stream_may_be_refused_for() {
        for kind in [
            ProblemKind::Unauthorized,
            ProblemKind::TaskNotFound,
            ProblemKind::RouteNotFound,
            ProblemKind::MethodNotAllowed,
            ProblemKind::InvalidQuery,
            ProblemKind::InvalidRequest,
            ProblemKind::ChangesGone,
            ProblemKind::TooManyRequests,
            ProblemKind::Unavailable,
        ] {
            let row = format!("**{}** `{}`", kind.status().as_u16(), kind.slug());
            assert!(PAGE.contains(&row), "{row}");
        }
    }
}

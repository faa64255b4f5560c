//! The error of a call to the backend.

use futures_util::future::BoxFuture;

/// A call to the backend that is under way.
pub type BackendFuture<'a, T> = BoxFuture<'a, Result<T, BackendError>>;

/// A call failed after the backend's own retries. The text is for the log, never for a client of the API. It contains nothing
/// that was sent or received.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {detail}")]
pub struct BackendError {
    /// The operation, such as `UpdateItem`.
    pub call: &'static str,
    /// The service's error code; `None` if the service did not answer.
    pub code: Option<String>,
    kind: Kind,
    detail: String,
}

/// What a caller may do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Throttling,
    OutOfSpace,
    Other,
}

impl BackendError {
    /// The service answered with this error code, or not at all.
    #[must_use]
    pub fn failed(call: &'static str, code: Option<String>, detail: String) -> Self {
        Self {
            call,
            code,
            kind: Kind::Other,
            detail,
        }
    }

    /// The service answered that it is called too often: the same call may succeed later.
    #[must_use]
    pub fn throttled(call: &'static str, code: String, detail: String) -> Self {
        Self {
            kind: Kind::Throttling,
            ..Self::failed(call, Some(code), detail)
        }
    }

    /// The disk is full: the same call succeeds once there is space again.
    #[must_use]
    pub fn out_of_space(call: &'static str, detail: String) -> Self {
        Self {
            kind: Kind::OutOfSpace,
            ..Self::failed(call, Some("OutOfSpace".to_owned()), detail)
        }
    }

    /// The same error for another call that failed with it.
    #[must_use]
    pub fn again(&self, call: &'static str) -> Self {
        Self {
            call,
            code: self.code.clone(),
            kind: self.kind,
            detail: self.detail.clone(),
        }
    }

    /// A compare-and-set lost against other writers on every try.
    #[must_use]
    pub fn contended(call: &'static str) -> Self {
        let detail = "the item changed before every try: too many writers share it";
        Self::failed(call, None, detail.to_owned())
    }

    /// The operation and the error code, without the service's message: that may quote the prompt of a model.
    #[must_use]
    pub fn brief(&self) -> String {
        match &self.code {
            Some(code) => format!("{}: {code}", self.call),
            None => self.to_string(),
        }
    }

    /// Whether the service throttled the call: the same call may succeed later.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        self.kind == Kind::Throttling
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        self.kind == Kind::OutOfSpace
    }
}

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
    is_throttling: bool,
    detail: String,
}

impl BackendError {
    /// The service answered with this error code, or not at all.
    #[must_use]
    pub fn failed(call: &'static str, code: Option<String>, detail: String) -> Self {
        Self {
            call,
            code,
            is_throttling: false,
            detail,
        }
    }

    /// The service answered that it is called too often: the same call may succeed later.
    #[must_use]
    pub fn throttled(call: &'static str, code: String, detail: String) -> Self {
        Self {
            is_throttling: true,
            ..Self::failed(call, Some(code), detail)
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
        self.is_throttling
    }
}

//! How a call to AWS fails.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// A call to AWS did not succeed, after the client's own retries. Its text is for the log, never for a client.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {detail}")]
pub struct CloudError {
    /// What was tried.
    pub call: &'static str,
    /// The service's own name for the error, where it answered at all.
    pub code: Option<String>,
    detail: String,
}

impl CloudError {
    pub(crate) fn of<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: Debug + Send + Sync + 'static,
    {
        move |error| {
            let code = error.code().map(str::to_owned);
            Self {
                call,
                code,
                detail: DisplayErrorContext(error).to_string(),
            }
        }
    }

    pub(crate) fn setup(call: &'static str, error: impl Error) -> Self {
        Self {
            call,
            code: None,
            detail: DisplayErrorContext(error).to_string(),
        }
    }

    /// Everything was well but for the rate.
    pub(crate) fn throttled(call: &'static str) -> Self {
        Self {
            call,
            code: Some("Throttling".to_owned()),
            detail: "part of it was left out under load".to_owned(),
        }
    }

    /// Others wrote the same item again and again.
    #[must_use]
    pub fn contended(call: &'static str) -> Self {
        Self {
            call,
            code: None,
            detail: "another was always first; there are more writers than the item can bear".to_owned(),
        }
    }

    /// The service is asked too often, by this caller or by all together; the same call may succeed later.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        // The codes of DynamoDB, SQS and S3.
        let code = self.code.as_deref().unwrap_or_default();
        code.contains("Throttl")
            || matches!(
                code,
                "ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "SlowDown"
            )
    }

    /// The service refused this caller, or does not know the resource: it is reached, and wrongly set up.
    pub(crate) fn is_refusal(&self) -> bool {
        self.code.is_some()
    }
}

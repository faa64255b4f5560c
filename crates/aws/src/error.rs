//! The error of a call to AWS.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use mesh_telemetry::{causes, redact};

/// A call to AWS failed after the SDK's own retries. The text is for the log, never for a client of the API. It contains
/// nothing that was sent or received: the SDK's own `Debug` prints a whole response that can't be parsed.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {detail}")]
pub struct AwsError {
    /// The operation, such as `UpdateItem`.
    pub call: &'static str,
    /// The service's error code; `None` if the service did not answer.
    pub code: Option<String>,
    detail: String,
}

impl AwsError {
    pub(crate) fn from_sdk<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: Debug + Send + Sync + 'static,
    {
        move |error| {
            let code = error.code().map(str::to_owned);
            let detail = match &error {
                // The metadata contains the request id, which AWS support asks for; the error's sources don't.
                SdkError::ServiceError(refusal) if code.is_some() => refusal.err().meta().to_string(),
                _ => causes(&error),
            };
            Self { call, code, detail }
        }
    }

    /// The operation and the error code, without the service's message: that may quote the prompt of a model.
    #[must_use]
    pub fn brief(&self) -> String {
        match &self.code {
            Some(code) => format!("{}: {code}", self.call),
            None => self.to_string(),
        }
    }

    pub(crate) fn setup(call: &'static str, error: impl Error + 'static) -> Self {
        Self {
            call,
            code: None,
            detail: redact(&causes(&error)),
        }
    }

    /// The call succeeded, but parts of it were left unprocessed because of throttling.
    pub(crate) fn throttled(call: &'static str) -> Self {
        Self {
            call,
            code: Some("Throttling".to_owned()),
            detail: "a part was left unprocessed under load".to_owned(),
        }
    }

    /// A compare-and-set lost against other writers on every try.
    #[must_use]
    pub fn contended(call: &'static str) -> Self {
        Self {
            call,
            code: None,
            detail: "the item changed before every try: too many writers share it".to_owned(),
        }
    }

    /// Whether the service throttled the call: the same call may succeed later.
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

    /// Whether the service refused the request as invalid: the same call would be refused again.
    pub(crate) fn is_invalid(&self) -> bool {
        self.code.as_deref() == Some("ValidationException")
    }

    /// Whether the service answered with an error code, such as a missing permission or resource: it can be reached.
    pub(crate) fn is_refusal(&self) -> bool {
        self.code.is_some()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::get_item::GetItemError;
    use aws_sdk_dynamodb::types::error::InternalServerError;

    use super::*;

    #[test]
    fn an_error_contains_its_causes_and_nothing_that_was_received() {
        let received = r#"{"Item": {"input": {"S": "the text of a task"}"#;
        let error = SdkError::<GetItemError, _>::response_error("the answer ends too soon", received);
        let error = AwsError::from_sdk("GetItem")(error);
        assert_eq!(
            error.to_string(),
            "GetItem: response error: the answer ends too soon"
        );
        assert!(!format!("{error:?}").contains("the text"));
    }

    #[test]
    fn a_parse_error_does_not_quote_the_stored_text() {
        let stored = r#"{"input": "say \", expected nothing"}"#;
        let error = serde_json::from_str::<std::collections::HashMap<String, u8>>(stored).unwrap_err();
        assert!(error.to_string().contains("nothing"), "{error}");
        let error = AwsError::setup("GetItem", error).to_string();
        assert!(
            error.starts_with("GetItem: invalid type: a string, expected u8"),
            "{error}"
        );
    }

    #[test]
    fn a_refusal_contains_the_services_message_and_request_id() {
        let meta = |code: &str| {
            let meta = ErrorMetadata::builder()
                .code(code)
                .message("the service's message");
            meta.custom("aws_request_id", "4b1f").build()
        };
        let named = InternalServerError::builder().message("the service's message");
        let named = named.meta(meta("InternalServerError")).build();
        for (code, refusal) in [
            (
                "AccessDeniedException",
                GetItemError::generic(meta("AccessDeniedException")),
            ),
            ("InternalServerError", GetItemError::InternalServerError(named)),
        ] {
            let error = AwsError::from_sdk("GetItem")(SdkError::service_error(refusal, "raw"));
            assert_eq!(error.code.as_deref(), Some(code));
            let text = error.to_string();
            assert_eq!(text.matches("the service's message").count(), 1, "{text}");
            assert!(text.contains("4b1f"), "{text}");
            assert_eq!(error.brief(), format!("GetItem: {code}"));
        }
    }
}

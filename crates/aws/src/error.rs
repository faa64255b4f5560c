//! How a call to AWS fails.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use mesh_telemetry::{causes, redact};

/// A call to AWS did not succeed, after the client's own retries. Its text is for the log, never for a client, and holds
/// nothing of what was sent or received: the SDK's own `Debug` would print an answer that it can't read, item and all.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {detail}")]
pub struct AwsError {
    /// What was tried.
    pub call: &'static str,
    /// The service's own name for the error, where it answered at all.
    pub code: Option<String>,
    detail: String,
}

impl AwsError {
    pub(crate) fn of<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: Debug + Send + Sync + 'static,
    {
        move |error| {
            let code = error.code().map(str::to_owned);
            let detail = match &error {
                // With the id of the request, by which AWS can be asked: an error's causes don't have it.
                SdkError::ServiceError(refusal) if code.is_some() => refusal.err().meta().to_string(),
                _ => causes(&error),
            };
            Self { call, code, detail }
        }
    }

    /// The call and what the service calls the error, without its words: these may quote what a model was asked.
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

    /// The service can't take what it was sent, however often it is.
    pub(crate) fn is_invalid(&self) -> bool {
        self.code.as_deref() == Some("ValidationException")
    }

    /// The service refused this caller, or does not know the resource: it is reached, and wrongly set up.
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
    fn an_error_tells_its_causes_and_nothing_of_what_was_received() {
        let received = r#"{"Item": {"input": {"S": "what a task is asked"}"#;
        let error = SdkError::<GetItemError, _>::response_error("the answer ends too soon", received);
        let told = AwsError::of("GetItem")(error);
        assert_eq!(
            told.to_string(),
            "GetItem: response error: the answer ends too soon"
        );
        assert!(!format!("{told:?}").contains("asked"));
    }

    #[test]
    fn what_could_not_be_read_is_told_without_its_text() {
        let stored = r#"{"input": "say \", expected nothing"}"#;
        let error = serde_json::from_str::<std::collections::HashMap<String, u8>>(stored).unwrap_err();
        assert!(error.to_string().contains("nothing"), "{error}");
        let told = AwsError::setup("GetItem", error).to_string();
        assert!(
            told.starts_with("GetItem: invalid type: a string, expected u8"),
            "{told}"
        );
    }

    #[test]
    fn a_refusal_is_told_with_the_services_words_and_the_id_to_ask_it_by() {
        let meta = |code: &str| {
            let meta = ErrorMetadata::builder().code(code).message("in its words");
            meta.custom("aws_request_id", "4b1f").build()
        };
        let named = InternalServerError::builder().message("in its words");
        let named = named.meta(meta("InternalServerError")).build();
        for (code, refusal) in [
            (
                "AccessDeniedException",
                GetItemError::generic(meta("AccessDeniedException")),
            ),
            ("InternalServerError", GetItemError::InternalServerError(named)),
        ] {
            let error = AwsError::of("GetItem")(SdkError::service_error(refusal, "raw"));
            assert_eq!(error.code.as_deref(), Some(code));
            let told = error.to_string();
            assert_eq!(told.matches("in its words").count(), 1, "{told}");
            assert!(told.contains("4b1f"), "{told}");
            assert_eq!(error.brief(), format!("GetItem: {code}"));
        }
    }
}

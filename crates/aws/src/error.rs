//! Errors of the AWS SDK as errors of the backend.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use mesh_backend::BackendError;
use mesh_telemetry::{causes, redact};

/// Makes the error of a call that failed after the SDK's own retries. Its text contains nothing that was sent or received: the
/// SDK's own `Debug` prints a whole response that can't be parsed.
pub(crate) fn from_sdk<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> BackendError
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
        match code {
            Some(code) if is_throttling(&code) => BackendError::throttled(call, code, detail),
            code => BackendError::failed(call, code, detail),
        }
    }
}

/// Whether a code of DynamoDB, SQS or S3 says that the service is called too often.
fn is_throttling(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "SlowDown"
        )
}

/// The error of a call that could not be made, or whose response can't be used.
pub(crate) fn setup(call: &'static str, error: impl Error + 'static) -> BackendError {
    BackendError::failed(call, None, redact(&causes(&error)))
}

/// The call succeeded, but parts of it were left unprocessed because of throttling.
pub(crate) fn left_unprocessed(call: &'static str) -> BackendError {
    let detail = "a part was left unprocessed under load";
    BackendError::throttled(call, "Throttling".to_owned(), detail.to_owned())
}

/// Whether the service refused the request as invalid: the same call would be refused again.
pub(crate) fn is_invalid(error: &BackendError) -> bool {
    error.code.as_deref() == Some("ValidationException")
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
        let error = from_sdk("GetItem")(error);
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
        let error = setup("GetItem", error).to_string();
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
            let error = from_sdk("GetItem")(SdkError::service_error(refusal, "raw"));
            assert_eq!(error.code.as_deref(), Some(code));
            let text = error.to_string();
            assert_eq!(text.matches("the service's message").count(), 1, "{text}");
            assert!(text.contains("4b1f"), "{text}");
            assert_eq!(error.brief(), format!("GetItem: {code}"));
        }
    }
}

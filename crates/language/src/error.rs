//! Why an operation fails, and whether its task is retried.

use std::time::Duration;

use mesh_task::{ErrorCode, RunError};

use crate::ProviderError;

/// Why an operation failed. No message quotes the provider's error text, which may contain part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LanguageError {
    /// The stack has no language model.
    #[error(
        "no language model is configured: deploy with the parameters LanguageProvider=bedrock or openai and \
         LanguageModel (locally: cargo xtask up --llm)"
    )]
    NotConfigured,
    /// The text exceeds [`Limits::max_text_chars`](crate::Limits::max_text_chars).
    #[error("the text has {chars} characters, but the limit is {limit}: split it into several tasks")]
    TextTooLong {
        /// The text's length, in characters.
        chars: usize,
        /// The limit, in characters.
        limit: usize,
    },
    /// The text and the task's schema together exceed [`Limits::max_text_chars`](crate::Limits::max_text_chars).
    #[error(
        "the text has {chars} characters and the schema {schema_chars}, but together the limit is {limit}: shorten the \
         schema, or split the text into several tasks"
    )]
    TextAndSchemaTooLong {
        /// The text's length, in characters.
        chars: usize,
        /// The length of the schema without references, in characters of JSON.
        schema_chars: usize,
        /// The limit, in characters.
        limit: usize,
    },
    /// The text is within the limit, but exceeds the model's context.
    #[error("the text and its response exceed the model's context: split the text into several tasks")]
    ContextTooLong,
    /// The operation's parameters are not valid.
    #[error("{0}")]
    InvalidRequest(String),
    /// Neither the first response nor the repaired one has the operation's response format.
    #[error("the language model's response does not have the requested format: {0}")]
    InvalidAnswer(String),
    /// Neither the first response nor the repaired one matches the task's own schema.
    #[error("the language model's response does not match the schema: {0}")]
    InvalidExtraction(String),
    /// The provider returned no completion.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl LanguageError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotConfigured => ErrorCode::ProviderNotConfigured,
            Self::TextTooLong { .. } | Self::TextAndSchemaTooLong { .. } | Self::ContextTooLong => {
                ErrorCode::TextTooLong
            }
            Self::InvalidRequest(_) => ErrorCode::InvalidInput,
            Self::InvalidAnswer(_) => ErrorCode::InvalidAnswer,
            Self::InvalidExtraction(_) => ErrorCode::InvalidExtraction,
            Self::Provider(error) => match error {
                ProviderError::Refused { .. } | ProviderError::Filtered => ErrorCode::ProviderRefused,
                ProviderError::Throttled { .. } => ErrorCode::ProviderThrottled,
                ProviderError::TimedOut { .. } | ProviderError::Unavailable { .. } => {
                    ErrorCode::ProviderUnavailable
                }
            },
        }
    }

    /// How long the provider asked to wait; `None` if it did not say.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Provider(
                ProviderError::Throttled { retry_after } | ProviderError::Unavailable { retry_after, .. },
            ) => *retry_after,
            _ => None,
        }
    }
}

impl From<LanguageError> for RunError {
    fn from(error: LanguageError) -> Self {
        let (code, retry_after, message) = (error.code(), error.retry_after(), error.to_string());
        match error {
            LanguageError::Provider(ProviderError::Throttled { .. }) => {
                Self::throttled(code, message, retry_after)
            }
            LanguageError::Provider(ProviderError::TimedOut { .. } | ProviderError::Unavailable { .. }) => {
                Self {
                    retry_after,
                    ..Self::transient(code, message)
                }
            }
            _ => Self::permanent(code, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_task::RunErrorClass;

    use super::*;

    #[test]
    fn only_errors_that_may_pass_are_retried() {
        let second = Duration::from_secs(1);
        let classes = [
            (LanguageError::NotConfigured, RunErrorClass::Permanent),
            (
                LanguageError::TextTooLong { chars: 2, limit: 1 },
                RunErrorClass::Permanent,
            ),
            (
                LanguageError::InvalidExtraction("...".to_owned()),
                RunErrorClass::Permanent,
            ),
            (
                ProviderError::Refused { status: Some(401) }.into(),
                RunErrorClass::Permanent,
            ),
            (
                ProviderError::TimedOut { after: second }.into(),
                RunErrorClass::Transient,
            ),
            (
                ProviderError::Unavailable {
                    reason: "...".to_owned(),
                    retry_after: None,
                }
                .into(),
                RunErrorClass::Transient,
            ),
            (
                ProviderError::Throttled {
                    retry_after: Some(second),
                }
                .into(),
                RunErrorClass::Throttled,
            ),
        ];
        for (error, class) in classes {
            let wait = error.retry_after();
            let error = RunError::from(error);
            assert_eq!((error.class, error.retry_after), (class, wait), "{error}");
        }
    }

    #[test]
    fn error_without_a_provider_says_how_to_configure_one() {
        let error = RunError::from(LanguageError::NotConfigured);
        assert_eq!(error.code, ErrorCode::ProviderNotConfigured);
        for word in ["LanguageProvider", "LanguageModel", "up --llm"] {
            assert!(error.message.contains(word), "{error}");
        }
    }
}

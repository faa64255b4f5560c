//! How an operation fails, and what that means for its task.

use std::time::Duration;

use mesh_task::{ErrorCode, RunError};

use crate::ProviderError;

/// Why there is no answer. What a provider said in its own words is in the log: it may hold a part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LanguageError {
    /// No model is set up.
    #[error(
        "no language model is set up here: deploy with the parameter LanguageProvider=bedrock or openai, and \
         LanguageModel (locally: cargo xtask up --llm)"
    )]
    NotConfigured,
    /// The text is longer than the limit.
    #[error("the text has {chars} characters and may have {limit}: split it into several tasks")]
    TextTooLong {
        /// How many it has.
        chars: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The text fits the limit, and not the model.
    #[error("the text and the room for an answer are too long for the model: split it into several tasks")]
    ContextTooLong,
    /// What was asked makes no question.
    #[error("{0}")]
    InvalidRequest(String),
    /// The answer did not have the form that the operation's result has, and neither had the repaired one.
    #[error("the language model did not answer in the form that it was asked for: {0}")]
    InvalidAnswer(String),
    /// The same for a schema of the sender's.
    #[error("the language model's answer does not fit the schema: {0}")]
    InvalidExtraction(String),
    /// The provider gave no answer at all.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl LanguageError {
    /// Its code, where it is the task's own.
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotConfigured => ErrorCode::ProviderNotConfigured,
            Self::TextTooLong { .. } | Self::ContextTooLong => ErrorCode::TextTooLong,
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

    /// How long the provider asked to be left alone.
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
    fn what_may_pass_is_tried_again_and_nothing_else_is() {
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
                    why: "...".to_owned(),
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
    fn without_a_provider_the_error_says_how_to_set_one_up() {
        let error = RunError::from(LanguageError::NotConfigured);
        assert_eq!(error.code, ErrorCode::ProviderNotConfigured);
        for word in ["LanguageProvider", "LanguageModel", "up --llm"] {
            assert!(error.message.contains(word), "{error}");
        }
    }
}

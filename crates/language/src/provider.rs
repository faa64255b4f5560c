//! Who runs the model: Amazon Bedrock, any OpenAI-compatible server, or nobody.

#[cfg(feature = "bedrock")]
mod bedrock;
mod dialect;
mod http;
mod openai;
mod retry_after;

use std::ops::AddAssign;
use std::time::Duration;

pub use openai::{InvalidProvider, OpenAi, OpenAiSettings};

use crate::{LanguageError, Prompt};

/// A model that answers.
#[derive(Debug)]
pub enum Provider {
    /// A model of Amazon Bedrock's.
    #[cfg(feature = "bedrock")]
    Bedrock {
        /// The model.
        bedrock: mesh_aws::Bedrock,
        /// How long it may take, for the error that says so.
        timeout: Duration,
    },
    /// A server that speaks OpenAI's chat completions.
    OpenAi(Box<OpenAi>),
    /// None: every question fails at once, with how to set one up.
    None,
}

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Its words.
    pub text: String,
    /// Its name, as the provider says.
    pub model: String,
    /// What it took.
    pub usage: Usage,
    /// How long the provider took: by its own clock where it tells, else as seen from here.
    pub latency: Duration,
    /// How it came to its end.
    pub end: End,
}

/// Tokens; 0 where the provider does not count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the questions.
    pub input_tokens: u64,
    /// Of the answers.
    pub output_tokens: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was done.
    Finished,
    /// Its answer reached the most tokens that it may have.
    CutOff,
}

/// Why a provider gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The key, the model's name or the request is not accepted: the same again would be refused again.
    #[error("{}", refusal(*status))]
    Refused {
        /// The HTTP status, where there is one.
        status: Option<u16>,
    },
    /// The provider's own filter held the answer back.
    #[error("the language provider's content filter held the answer back")]
    Filtered,
    /// It is asked too often.
    #[error("the language provider is asked too often")]
    Throttled {
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It took too long.
    #[error("the language provider did not answer within {after:?}")]
    TimedOut {
        /// The longest time that it may take.
        after: Duration,
    },
    /// It can't be reached, or failed.
    #[error("the language provider is not available: {why}")]
    Unavailable {
        /// How it failed, in words of ours.
        why: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
}

fn refusal(status: Option<u16>) -> String {
    let why = match status {
        Some(401 | 403) => {
            "the key or role of the stack: check LanguageApiKeySecret, or the access to the model"
        }
        Some(404) => "the model or address: check LanguageModel and LanguageBaseUrl",
        _ => "the request; the worker's log has its words",
    };
    match status {
        Some(status) => format!("the language provider refused ({status}) {why}"),
        None => format!("the language provider refused {why}"),
    }
}

impl From<OpenAi> for Provider {
    fn from(server: OpenAi) -> Self {
        Self::OpenAi(Box::new(server))
    }
}

impl Provider {
    /// Asks the model.
    ///
    /// # Errors
    /// [`LanguageError::NotConfigured`], [`LanguageError::ContextTooLong`] or [`LanguageError::Provider`].
    pub async fn complete(&self, prompt: &Prompt) -> Result<Completion, LanguageError> {
        match self {
            #[cfg(feature = "bedrock")]
            Self::Bedrock { bedrock, timeout } => bedrock::complete(bedrock, *timeout, prompt).await,
            Self::OpenAi(server) => server.complete(prompt).await,
            Self::None => Err(LanguageError::NotConfigured),
        }
    }
}

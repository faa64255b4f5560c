//! The provider that runs the model: Amazon Bedrock, an OpenAI-compatible server, or none.

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

/// A provider with one of its models.
#[derive(Debug)]
pub enum Provider {
    #[cfg(feature = "bedrock")]
    Bedrock {
        /// The client for one model.
        bedrock: mesh_aws::Bedrock,
        /// The client's timeout, which [`ProviderError::TimedOut`] states.
        timeout: Duration,
    },
    /// A server with OpenAI's chat completions API.
    OpenAi(Box<OpenAi>),
    /// Every request fails with [`LanguageError::NotConfigured`].
    None,
}

/// The output of a model for one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The model's output; empty if it had none.
    pub text: String,
    /// The model, under the name that the provider reports.
    pub model: String,
    /// The tokens of the prompt and of the output.
    pub usage: Usage,
    /// How long the provider took: as it reports, or else as measured here.
    pub latency: Duration,
    /// Whether the output is complete.
    pub finish_reason: FinishReason,
}

/// Token counts; 0 where the provider does not report them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The tokens of all prompts.
    pub input_tokens: u64,
    /// The tokens of all completions.
    pub output_tokens: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended the completion by itself.
    Stop,
    /// The completion reached [`Prompt::max_output_tokens`] and was cut off.
    Length,
}

/// Why a provider returned no completion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider does not accept the key, the model's name or the request: a retry would be refused too.
    #[error("{}", refusal(*status))]
    Refused {
        /// The HTTP status; `None` if the provider is not reached by HTTP.
        status: Option<u16>,
    },
    /// The provider's content filter blocked the completion.
    #[error("the language provider's content filter blocked the response: change the text")]
    Filtered,
    /// The provider's rate limit was exceeded.
    #[error("the language provider's rate limit was exceeded")]
    Throttled {
        /// How long the provider asked to wait; `None` if it did not say.
        retry_after: Option<Duration>,
    },
    /// The provider did not answer in time.
    #[error("the language provider did not answer within {after:?}")]
    TimedOut { after: Duration },
    /// The provider can't be reached, or failed.
    #[error("the language provider is not available: {reason}")]
    Unavailable {
        /// How it failed; never the provider's own text.
        reason: String,
        /// How long the provider asked to wait; `None` if it did not say.
        retry_after: Option<Duration>,
    },
}

fn refusal(status: Option<u16>) -> String {
    let advice = match status {
        Some(401 | 403) => "the stack's key or role: check LanguageApiKeySecret, or the access to the model",
        Some(404) => "the model or address: check LanguageModel and LanguageBaseUrl",
        _ => "the request: see the worker's log for the error's name",
    };
    match status {
        Some(status) => format!("the language provider refused ({status}) {advice}"),
        None => format!("the language provider refused {advice}"),
    }
}

impl From<OpenAi> for Provider {
    fn from(server: OpenAi) -> Self {
        Self::OpenAi(Box::new(server))
    }
}

impl Provider {
    /// Sends the prompt to the model.
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

//! Text operations of a language model: translate, summarize, classify, and extract data.
//!
//! [`Language`] is one model of one [`Provider`]. It guarantees two things, whatever the model outputs:
//!
//! - The text of a task is never an instruction: the prompt encloses it in delimiters that the text can't contain.
//! - A response always has the requested format. Each completion is validated against a JSON Schema. An invalid one is
//!   sent back once with the reason, and the operation fails if the second one is invalid too.
//!
//! Dropping the future of an operation cancels its request.
//!
//! The files, in reading order: `operations` builds a request for each operation, `prompt` turns it into a prompt,
//! `complete` sends it and validates the completion (`json_object` finds the JSON in it), and `provider` talks to the
//! model.

mod complete;
mod error;
mod json_object;
mod operations;
mod prompt;
mod provider;

use std::time::Duration;

pub use error::LanguageError;
pub use operations::{Classification, LabelScore, Summary};
pub use prompt::{Prompt, ResponseFormat};
pub use provider::{
    Completion, FinishReason, InvalidProvider, OpenAi, OpenAiSettings, Provider, ProviderError, Usage,
};

/// A language model with the limits for its requests.
#[derive(Debug)]
pub struct Language {
    provider: Provider,
    limits: Limits,
}

/// The maximum size of a request and of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in characters, together with the schema of an extraction once its references are inlined. Models
    /// differ in context size and price.
    pub max_text_chars: usize,
    /// The longest response, in tokens. It bounds the cost of a model that does not stop.
    pub max_output_tokens: u32,
}

impl Default for Limits {
    /// 24,000 characters are about 6,000 tokens of English. A context of 8,192 tokens has room for them, the instructions
    /// and a response.
    fn default() -> Self {
        Self {
            max_text_chars: 24_000,
            max_output_tokens: 2_048,
        }
    }
}

/// The result of an operation, and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Response<T> {
    pub value: T,
    /// The model, under the name that its provider reports.
    pub model: String,
    /// The tokens of all rounds.
    pub usage: Usage,
    /// How long the provider took for all rounds.
    pub latency: Duration,
    /// The number of completions requested: 2 if the first one had to be repaired.
    pub rounds: u32,
}

impl<T> Response<T> {
    fn map<U>(self, convert: impl FnOnce(T) -> U) -> Response<U> {
        Response {
            value: convert(self.value),
            model: self.model,
            usage: self.usage,
            latency: self.latency,
            rounds: self.rounds,
        }
    }
}

impl Language {
    /// A model within these limits.
    #[must_use]
    pub fn new(provider: Provider, limits: Limits) -> Self {
        Self { provider, limits }
    }

    /// Fails if the stack has no language model. Every operation fails then too, but only after it read its parameters.
    ///
    /// # Errors
    /// [`LanguageError::NotConfigured`].
    pub fn require_provider(&self) -> Result<(), LanguageError> {
        match self.provider {
            Provider::None => Err(LanguageError::NotConfigured),
            _ => Ok(()),
        }
    }
}

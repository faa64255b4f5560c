//! What is asked of a language model: translate, summarize, classify, and draw data out of a text.
//!
//! [`Language`] is one model behind one [`Provider`]. What always holds, whatever the model says: a text that came with
//! a task is never an instruction (it stands between marks that it can't contain), and an answer leaves here only in the
//! form that was asked for. Each answer is validated against a JSON Schema; one that does not fit is sent back once with
//! what was wrong, and fails its task if the second does not fit either.
//!
//! Everything is a future: to drop it is to hang up.

mod answer;
mod ask;
mod coerce;
mod error;
mod operations;
mod prompt;
mod provider;
mod schema;

use std::time::Duration;

pub use error::LanguageError;
pub use operations::{Classification, LabelScore, Summary};
pub use prompt::{Format, Prompt};
pub use provider::{
    Completion, End, InvalidProvider, OpenAi, OpenAiSettings, Provider, ProviderError, Usage,
};
pub use schema::{InvalidSchema, MAX_SCHEMA_DEPTH, Schema};

/// A model, and how much of it may be asked at once.
#[derive(Debug)]
pub struct Language {
    provider: Provider,
    limits: Limits,
}

/// How large a question and its answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in characters. Models differ in what they can take at once, and so do prices.
    pub max_text_chars: usize,
    /// The longest answer, in tokens: a model that never ends would otherwise be paid for until its timeout.
    pub max_output_tokens: u32,
}

impl Default for Limits {
    /// 24,000 characters are about 6,000 tokens of English, which a context of 8,192 holds beside instructions and an
    /// answer.
    fn default() -> Self {
        Self {
            max_text_chars: 24_000,
            max_output_tokens: 2_048,
        }
    }
}

/// An operation's answer, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered<T> {
    /// The answer.
    pub value: T,
    /// The model, by the name that its provider gives it.
    pub model: String,
    /// The tokens of all rounds.
    pub usage: Usage,
    /// How long the provider took, all rounds together.
    pub latency: Duration,
    /// How often the model was asked: 2 if the first answer had to be repaired.
    pub rounds: u32,
}

impl<T> Answered<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Answered<U> {
        Answered {
            value: change(self.value),
            model: self.model,
            usage: self.usage,
            latency: self.latency,
            rounds: self.rounds,
        }
    }
}

impl Language {
    /// That provider's model, within these limits.
    #[must_use]
    pub fn new(provider: Provider, limits: Limits) -> Self {
        Self { provider, limits }
    }
}

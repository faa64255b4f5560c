//! How a result came about: which model gave it, how long that took, what a provider counted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::TaskResult;

/// What a worker's run gives for one task.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutput {
    /// The answer.
    pub result: TaskResult,
    /// Who gave it.
    pub model: ModelName,
    /// How long the model was loaded for, where it was not before.
    pub load: Duration,
    /// How long the model computed. Tasks that ran as one took this together.
    pub inference: Duration,
    /// What the provider of a language model counted.
    pub usage: Option<Usage>,
}

/// A model, by name and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelName {
    /// Its name.
    pub name: String,
    /// The first digits of its file's SHA-256 in hex, or the provider's name for it.
    pub version: String,
}

/// How long the attempt that gave the result took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Timings {
    /// From when the task could run (accepted, or rested) until a worker had it.
    pub queued_ms: u64,
    /// Until its input and its model were there.
    pub load_ms: u64,
    /// Of computing.
    pub inference_ms: u64,
}

/// What a language model's provider counted, over all its calls for one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Tokens that were read.
    pub input_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
    /// How long the provider took, in milliseconds.
    pub provider_ms: u64,
}

/// What a completed task keeps of its run beside the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who gave the result.
    pub model: ModelName,
    /// How long it took.
    pub timings: Timings,
    /// What the provider counted, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Report {
    /// The report of a run whose task waited for `queued` and whose input came after `fetch`.
    #[must_use]
    pub fn of(output: &RunOutput, queued: Duration, fetch: Duration) -> Self {
        Self {
            model: output.model.clone(),
            timings: Timings {
                queued_ms: millis(queued),
                load_ms: millis(fetch + output.load),
                inference_ms: millis(output.inference),
            },
            usage: output.usage,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

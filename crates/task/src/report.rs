//! What a run returns, and what a completed task stores of it: the result, the model, the times and the token counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ObjectRef, TaskResult};

/// What a runner returns for one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunOutput {
    pub result: TaskResult,
    /// The model that gave the result.
    pub model: ModelName,
    /// How long the model took to load; zero if it was loaded before.
    pub load: Duration,
    /// How long the model computed. Tasks that ran in one batch share this time.
    pub inference: Duration,
    /// The provider's token counts; `None` for bundled models.
    pub usage: Option<Usage>,
}

/// A model, by name and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelName {
    /// The name as `GET /v1/models` lists it.
    pub name: String,
    /// The first digits of its file's SHA-256 in hex, or the provider's name for it.
    pub version: String,
}

/// How long the attempt that gave the result took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Timings {
    /// From when the task could run (it was accepted, or the attempt before ended) until a worker claimed it.
    pub queued_ms: u64,
    /// From the claim until input and model were loaded.
    pub load_ms: u64,
    /// How long the model computed.
    pub inference_ms: u64,
}

/// What a language model's provider counted, over all its calls for one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Tokens of the prompts.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
    /// How long the provider took, in milliseconds.
    pub provider_ms: u64,
}

/// What a completed task stores of its run beside the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The model that gave the result.
    pub model: ModelName,
    pub timings: Timings,
    /// The provider's token counts; `None` for bundled models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Report {
    /// The report of a run whose task waited for `queued` and whose input took `fetch` to load.
    #[must_use]
    pub fn new(output: &RunOutput, queued: Duration, fetch: Duration) -> Self {
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

/// A result, or a reference to it.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredResult {
    /// The item contains the result.
    Inline(TaskResult),
    /// The payload bucket contains the result.
    Object(ObjectRef),
}

/// What completes a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub result: StoredResult,
    /// How the result came about.
    pub report: Report,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

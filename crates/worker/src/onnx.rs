//! What the workers that run models of ours share: their words for the loop's.

use std::time::{Duration, Instant};

use mesh_models::{Interrupt, ModelError, ModelId};
use mesh_task::{ModelName, RunError, RunOutput, TaskResult, code};

use crate::Stop;

/// An interrupt that the stop triggers.
#[must_use]
pub fn interrupt_on(stop: &Stop) -> Interrupt {
    let interrupt = Interrupt::new();
    stop.on_trigger({
        let interrupt = interrupt.clone();
        move || interrupt.trigger()
    });
    interrupt
}

/// What a model's result is on its task.
#[must_use]
pub fn output(result: TaskResult, model: ModelId, load: Duration, inference: Duration) -> RunOutput {
    RunOutput {
        result,
        model: ModelName {
            name: model.name.to_owned(),
            version: model.version.to_owned(),
        },
        load,
        inference,
        usage: None,
    }
}

/// What a model's error is on its task.
#[must_use]
pub fn run_error(error: &ModelError) -> RunError {
    match error {
        ModelError::Interrupted => RunError::timeout(),
        ModelError::Input(error) => RunError::permanent(error.code(), error.to_string()),
        error => failed(error),
    }
}

/// A failure of ours. What was met is for the log, not for the sender.
#[must_use]
pub fn failed(error: &dyn std::fmt::Display) -> RunError {
    tracing::error!(%error, "the model failed");
    RunError::transient(
        code::INFERENCE_FAILED,
        "the model failed; the worker's log says how",
    )
}

/// A model that most batches can do without: loaded when the first task asks for it, and kept from then on.
#[derive(Debug)]
pub struct Lazy<M> {
    model: std::sync::OnceLock<M>,
}

impl<M> Default for Lazy<M> {
    fn default() -> Self {
        Self {
            model: std::sync::OnceLock::new(),
        }
    }
}

impl<M> Lazy<M> {
    /// The model, and how long it was loaded for just now.
    ///
    /// # Errors
    /// Those of `load`; the next call tries again.
    pub fn get<E: std::fmt::Display>(
        &self,
        load: impl FnOnce() -> Result<M, E>,
    ) -> Result<(&M, Duration), RunError> {
        if let Some(model) = self.model.get() {
            return Ok((model, Duration::ZERO));
        }
        let begun = Instant::now();
        let model = load().map_err(|error| failed(&error))?;
        Ok((self.model.get_or_init(|| model), begun.elapsed()))
    }
}

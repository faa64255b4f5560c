//! What the workers with bundled models share: their interrupts, outputs and errors as the worker's loop needs them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mesh_models::{AudioError, ImageError, InputError, Interrupt, ModelError, ModelId};
use mesh_task::{ErrorCode, ModelName, RunError, RunOutput, TaskResult};

use crate::Stop;

/// The directory of the function's library and models: `AI_MESH_ASSETS`, or else the directory to which Lambda unpacked the
/// function, or else that of the executable.
#[must_use]
pub fn assets() -> PathBuf {
    let named = std::env::var_os("AI_MESH_ASSETS")
        .or_else(|| std::env::var_os("LAMBDA_TASK_ROOT"))
        .map(PathBuf::from);
    named
        .or_else(|| Some(std::env::current_exe().ok()?.parent()?.to_owned()))
        .unwrap_or_default()
}

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

/// A model's result as the outcome of its task.
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

/// A model's error as the outcome of its task.
#[must_use]
pub fn run_error(error: &ModelError) -> RunError {
    match error {
        ModelError::Interrupted => RunError::timeout(),
        ModelError::Input(error) => RunError::permanent(input_error_code(error), error.to_string()),
        ModelError::Inference(_) => failed(error),
    }
}

/// Every error of an input has a code of its own. No match here has a wildcard, so that the compiler finds a missing one.
fn input_error_code(error: &InputError) -> ErrorCode {
    match error {
        InputError::Image(error) => match error {
            ImageError::Unsupported { .. } => ErrorCode::UnsupportedImageType,
            ImageError::Invalid { .. } => ErrorCode::InvalidImage,
            ImageError::TooLarge { .. } => ErrorCode::ImageTooLarge,
        },
        InputError::Audio(error) => match error {
            AudioError::Unsupported { .. } => ErrorCode::UnsupportedAudioType,
            AudioError::Invalid { .. } => ErrorCode::InvalidAudio,
            AudioError::TooLong { .. } => ErrorCode::AudioTooLong,
            AudioError::TooLarge { .. } => ErrorCode::AudioTooLarge,
        },
    }
}

/// The outcome of a task whose model failed for a reason other than the input. The reason is logged, not shown to the client.
#[must_use]
pub fn failed(error: &dyn std::fmt::Display) -> RunError {
    tracing::error!(event = "model_failed", %error, "the model failed");
    RunError::transient(
        ErrorCode::InferenceFailed,
        "the model failed: see the worker's log for the reason",
    )
}

/// A model that most batches do not need. The first task that needs it loads it, and later ones share it.
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
    /// The model, and how long this call took to load it: zero if it was loaded before.
    ///
    /// # Errors
    /// Those of `load`. The next call tries again.
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

#[cfg(test)]
mod image_size_tests;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_an_input_has_the_code_that_clients_know() {
        let image = ImageError::Unsupported {
            found: "a PDF file".to_owned(),
        };
        let audio = AudioError::TooLong { limit: 30 };
        for (error, code) in [
            (
                ModelError::from(InputError::from(image)),
                "unsupported_image_type",
            ),
            (ModelError::from(InputError::from(audio)), "audio_too_long"),
        ] {
            let error = run_error(&error);
            assert_eq!(error.code.as_str(), code, "{error}");
        }
        assert_eq!(run_error(&ModelError::Interrupted), RunError::timeout());
    }
}

//! The models that the stack was deployed with.

use mesh_telemetry::{SettingError, setting};

/// The models of a stack.
#[derive(Debug)]
pub struct ModelSettings {
    /// The variant of Whisper that transcribes, such as `base`.
    pub speech: String,
    /// The provider of the language model, or `none`.
    pub provider: String,
    /// The provider's name of the language model.
    pub language: String,
}

impl ModelSettings {
    /// Reads the template's settings.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn from_settings() -> Result<Self, SettingError> {
        Ok(Self {
            speech: setting("SPEECH_MODEL")?,
            provider: setting("LANGUAGE_PROVIDER")?,
            language: setting("LANGUAGE_MODEL")?,
        })
    }
}

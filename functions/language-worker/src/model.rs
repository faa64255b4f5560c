//! The language model that the function's settings configure.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mesh_aws::Bedrock;
use mesh_backend::BackendError;
use mesh_language::{Language, Limits, OpenAi, OpenAiSettings, Provider};
use mesh_task::{ErrorCode, RunError, RunOutput};
use mesh_telemetry::{SettingError, setting};
use tokio::sync::Mutex;

/// The value of the environment variable `LANGUAGE_PROVIDER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProviderKind {
    None,
    Bedrock,
    OpenAi,
}

#[derive(Debug, thiserror::Error)]
#[error("unknown provider: expected none, bedrock or openai")]
pub(crate) struct UnknownProvider;

impl FromStr for ProviderKind {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, UnknownProvider> {
        match name {
            "none" => Ok(Self::None),
            "bedrock" => Ok(Self::Bedrock),
            "openai" => Ok(Self::OpenAi),
            _ => Err(UnknownProvider),
        }
    }
}

/// The template's settings for the language model.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) kind: ProviderKind,
    pub(crate) model: String,
    /// The address of an OpenAI-compatible server; unused for Bedrock.
    pub(crate) base_url: String,
    /// The ARN of the secret with the server's key; empty for a server without authentication.
    pub(crate) api_key_secret: String,
    pub(crate) timeout: Duration,
    pub(crate) limits: Limits,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, SettingError> {
        Ok(Self {
            kind: setting("LANGUAGE_PROVIDER")?,
            model: setting("LANGUAGE_MODEL")?,
            base_url: setting("LANGUAGE_BASE_URL")?,
            api_key_secret: setting("LANGUAGE_API_KEY_SECRET")?,
            timeout: Duration::from_secs(setting("LANGUAGE_TIMEOUT_SECONDS")?),
            limits: Limits {
                max_text_chars: setting("LANGUAGE_MAX_TEXT_CHARS")?,
                max_output_tokens: setting("LANGUAGE_MAX_OUTPUT_TOKENS")?,
            },
        })
    }
}

/// A model that is ready for requests.
#[derive(Debug)]
pub(crate) struct ConfiguredModel {
    /// The name in the settings. The provider may report another one.
    pub(crate) name: String,
    pub(crate) language: Language,
}

/// Creates the model at its first use and caches it. The function starts even if that fails, so that its tasks can report
/// why.
#[derive(Debug)]
pub(crate) struct ModelCache {
    settings: Settings,
    model: Mutex<Option<Arc<ConfiguredModel>>>,
}

impl ModelCache {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            model: Mutex::new(None),
        }
    }

    pub(crate) async fn get(&self) -> Result<Arc<ConfiguredModel>, RunError> {
        let mut cached = self.model.lock().await;
        if let Some(model) = &*cached {
            return Ok(Arc::clone(model));
        }
        let model = Arc::new(ConfiguredModel {
            name: self.settings.model.clone(),
            language: Language::new(self.provider().await?, self.settings.limits),
        });
        *cached = Some(Arc::clone(&model));
        Ok(model)
    }

    /// Clears the cache if the provider refused a request: the key may have changed since it was read.
    pub(crate) async fn reset_if_refused(&self, outcomes: &[Result<RunOutput, RunError>]) {
        let is_refusal = |outcome: &Result<RunOutput, RunError>| matches!(outcome, Err(error) if error.code == ErrorCode::ProviderRefused);
        if outcomes.iter().any(is_refusal) {
            *self.model.lock().await = None;
        }
    }

    async fn provider(&self) -> Result<Provider, RunError> {
        let Settings {
            kind, model, timeout, ..
        } = &self.settings;
        let timeout = *timeout;
        if *kind != ProviderKind::None && model.is_empty() {
            return Err(misconfigured("it has no model: set the parameter LanguageModel"));
        }
        match kind {
            ProviderKind::None => Ok(Provider::None),
            ProviderKind::Bedrock => {
                let config = mesh_aws::sdk_config().await.map_err(misconfigured)?;
                let bedrock = Bedrock::new(&config, model.clone(), timeout);
                Ok(Provider::Bedrock { bedrock, timeout })
            }
            ProviderKind::OpenAi => {
                let settings = OpenAiSettings {
                    base_url: self.settings.base_url.clone(),
                    model: model.clone(),
                    api_key: self.api_key().await?,
                    timeout,
                };
                OpenAi::new(settings).map(Provider::from).map_err(misconfigured)
            }
        }
    }

    async fn api_key(&self) -> Result<Option<String>, RunError> {
        let arn = &self.settings.api_key_secret;
        if arn.is_empty() {
            return Ok(None);
        }
        let config = mesh_aws::sdk_config().await.map_err(misconfigured)?;
        let secret = mesh_aws::secret(&config, arn).await.map_err(secret_error)?;
        Ok(Some(secret.expose().to_owned()))
    }
}

fn misconfigured(reason: impl std::fmt::Display) -> RunError {
    let message = format!("the stack's language provider is misconfigured: {reason}");
    RunError::permanent(ErrorCode::ProviderNotConfigured, message)
}

fn secret_error(error: BackendError) -> RunError {
    tracing::error!(event = "language_key_unreadable", %error, "the language provider's key can't be read");
    if error.is_throttling() || error.code.is_none() {
        let message = "Secrets Manager, which stores the language provider's key, did not answer";
        RunError::transient(ErrorCode::ProviderUnavailable, message)
    } else {
        misconfigured("the secret with its key can't be read: check the parameter LanguageApiKeySecret")
    }
}

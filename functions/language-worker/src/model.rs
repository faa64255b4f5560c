//! The language model that the function's settings configure.

use std::str::FromStr;
use std::time::Duration;

use mesh_aws::Bedrock;
use mesh_backend::{BackendError, BoxFuture};
use mesh_language::{Limits, OpenAi, OpenAiSettings, Provider};
use mesh_runners::{ProviderSource, misconfigured};
use mesh_task::{ErrorCode, RunError};
use mesh_telemetry::{SettingError, setting};

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

impl Settings {
    async fn make_provider(&self) -> Result<Provider, RunError> {
        let Self {
            kind, model, timeout, ..
        } = self;
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
                    base_url: self.base_url.clone(),
                    model: model.clone(),
                    api_key: self.api_key().await?,
                    timeout,
                };
                OpenAi::new(settings).map(Provider::from).map_err(misconfigured)
            }
        }
    }

    async fn api_key(&self) -> Result<Option<String>, RunError> {
        let arn = &self.api_key_secret;
        if arn.is_empty() {
            return Ok(None);
        }
        let config = mesh_aws::sdk_config().await.map_err(misconfigured)?;
        let secret = mesh_aws::secret(&config, arn).await.map_err(secret_error)?;
        Ok(Some(secret.expose().to_owned()))
    }
}

impl ProviderSource for Settings {
    fn model(&self) -> &str {
        &self.model
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn provider(&self) -> BoxFuture<'_, Result<Provider, RunError>> {
        Box::pin(self.make_provider())
    }
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

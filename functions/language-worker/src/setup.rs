//! Which model is asked, by the function's settings.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mesh_aws::{AwsError, Bedrock};
use mesh_language::{Language, Limits, OpenAi, OpenAiSettings, Provider};
use mesh_task::{ErrorCode, RunError, RunOutput};
use mesh_telemetry::{SettingError, setting};
use tokio::sync::Mutex;

/// `LANGUAGE_PROVIDER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Bedrock,
    OpenAi,
}

#[derive(Debug, thiserror::Error)]
#[error("it is none of none, bedrock and openai")]
pub(crate) struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        match name {
            "none" => Ok(Self::None),
            "bedrock" => Ok(Self::Bedrock),
            "openai" => Ok(Self::OpenAi),
            _ => Err(UnknownKind),
        }
    }
}

/// What the template says of the language model.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) kind: Kind,
    pub(crate) model: String,
    /// Of an OpenAI-compatible server.
    pub(crate) base_url: String,
    /// The ARN of its key's secret; empty for a server without one.
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

/// A model that can be asked.
#[derive(Debug)]
pub(crate) struct Model {
    /// As it is set up.
    pub(crate) name: String,
    pub(crate) language: Language,
}

/// The model, made when it is first wanted. Tasks are told why it can't be: a function that would not start says nothing
/// to anyone.
#[derive(Debug)]
pub(crate) struct Models {
    settings: Settings,
    made: Mutex<Option<Arc<Model>>>,
}

impl Models {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            made: Mutex::new(None),
        }
    }

    pub(crate) async fn get(&self) -> Result<Arc<Model>, RunError> {
        let mut made = self.made.lock().await;
        if let Some(model) = &*made {
            return Ok(Arc::clone(model));
        }
        let model = Arc::new(Model {
            name: self.settings.model.clone(),
            language: Language::new(self.provider().await?, self.settings.limits),
        });
        *made = Some(Arc::clone(&model));
        Ok(model)
    }

    /// Makes the model anew next time if the provider refused: its key may have been changed since it was read.
    pub(crate) async fn heed(&self, outcomes: &[Result<RunOutput, RunError>]) {
        let is_refusal = |outcome: &Result<RunOutput, RunError>| matches!(outcome, Err(error) if error.code == ErrorCode::ProviderRefused);
        if outcomes.iter().any(is_refusal) {
            *self.made.lock().await = None;
        }
    }

    async fn provider(&self) -> Result<Provider, RunError> {
        let Settings {
            kind, model, timeout, ..
        } = &self.settings;
        let timeout = *timeout;
        if *kind != Kind::None && model.is_empty() {
            return Err(misconfigured("it has no model: set the parameter LanguageModel"));
        }
        match kind {
            Kind::None => Ok(Provider::None),
            Kind::Bedrock => {
                let config = mesh_aws::sdk_config().await.map_err(misconfigured)?;
                let bedrock = Bedrock::new(&config, model.clone(), timeout);
                Ok(Provider::Bedrock { bedrock, timeout })
            }
            Kind::OpenAi => {
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
        let secret = mesh_aws::secret(&config, arn).await.map_err(unread)?;
        Ok(Some(secret.expose().to_owned()))
    }
}

fn misconfigured(why: impl std::fmt::Display) -> RunError {
    let told = format!("the stack's language provider is set up wrongly: {why}");
    RunError::permanent(ErrorCode::ProviderNotConfigured, told)
}

fn unread(error: AwsError) -> RunError {
    tracing::error!(%error, "the language provider's key can't be read");
    if error.is_throttling() || error.code.is_none() {
        let told = "Secrets Manager, which keeps the language provider's key, did not answer";
        RunError::transient(ErrorCode::ProviderUnavailable, told)
    } else {
        misconfigured("the secret with its key can't be read: check the parameter LanguageApiKeySecret")
    }
}

//! The language model of an OpenAI-compatible server.

use std::fmt;
use std::future::ready;
use std::time::Duration;

use mesh_backend::BoxFuture;
use mesh_language::{Limits, OpenAi, OpenAiSettings, Provider};
use mesh_runners::{ProviderSource, misconfigured};
use mesh_task::RunError;

use crate::settings::Settings;

/// How long a request may take: a model on this machine's processor is slow.
const TIMEOUT: Duration = Duration::from_secs(240);

/// The server that the settings name, or none.
pub(crate) struct LanguageServer {
    base_url: Option<String>,
    model: String,
    api_key: Option<String>,
}

impl LanguageServer {
    pub(crate) fn from_settings(settings: &Settings) -> Self {
        Self {
            base_url: settings.language_url.clone(),
            model: settings.language_model.clone().unwrap_or_default(),
            api_key: settings.language_api_key.clone(),
        }
    }
}

impl fmt::Debug for LanguageServer {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanguageServer")
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl ProviderSource for LanguageServer {
    fn model(&self) -> &str {
        &self.model
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn provider(&self) -> BoxFuture<'_, Result<Provider, RunError>> {
        let provider = match &self.base_url {
            None => Ok(Provider::None),
            Some(base_url) => {
                let settings = OpenAiSettings {
                    base_url: base_url.clone(),
                    model: self.model.clone(),
                    api_key: self.api_key.clone(),
                    timeout: TIMEOUT,
                };
                OpenAi::new(settings).map(Provider::from).map_err(misconfigured)
            }
        };
        Box::pin(ready(provider))
    }
}

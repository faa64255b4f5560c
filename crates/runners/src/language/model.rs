//! The language model, which is created at its first use.

use std::fmt::{Debug, Display};
use std::sync::Arc;

use mesh_backend::BoxFuture;
use mesh_language::{Language, Limits, Provider};
use mesh_task::{ErrorCode, RunError, RunOutput};
use tokio::sync::Mutex;

/// Where the language model comes from.
pub trait ProviderSource: Debug + Send + Sync {
    /// The name in the settings. The provider may report another one.
    fn model(&self) -> &str;

    fn limits(&self) -> Limits;

    /// Makes a client of the provider.
    ///
    /// # Errors
    /// When the provider is not configured as it must be, or its key can't be read.
    fn provider(&self) -> BoxFuture<'_, Result<Provider, RunError>>;
}

/// A model that is ready for requests.
#[derive(Debug)]
pub(super) struct ConfiguredModel {
    pub(super) name: String,
    pub(super) language: Language,
}

/// Creates the model at its first use and caches it. A worker starts even if that fails, so that its tasks can report why.
#[derive(Debug)]
pub(super) struct ModelCache {
    source: Box<dyn ProviderSource>,
    model: Mutex<Option<Arc<ConfiguredModel>>>,
}

impl ModelCache {
    pub(super) fn new(source: Box<dyn ProviderSource>) -> Self {
        Self {
            source,
            model: Mutex::new(None),
        }
    }

    pub(super) async fn get(&self) -> Result<Arc<ConfiguredModel>, RunError> {
        let mut cached = self.model.lock().await;
        if let Some(model) = &*cached {
            return Ok(Arc::clone(model));
        }
        let model = Arc::new(ConfiguredModel {
            name: self.source.model().to_owned(),
            language: Language::new(self.source.provider().await?, self.source.limits()),
        });
        *cached = Some(Arc::clone(&model));
        Ok(model)
    }

    /// Clears the cache if the provider refused a request: the key may have changed since it was read.
    pub(super) async fn reset_if_refused(&self, outcomes: &[Result<RunOutput, RunError>]) {
        let is_refusal = |outcome: &Result<RunOutput, RunError>| matches!(outcome, Err(error) if error.code == ErrorCode::ProviderRefused);
        if outcomes.iter().any(is_refusal) {
            *self.model.lock().await = None;
        }
    }
}

/// The outcome of a task whose provider can't be used as it is configured.
pub fn misconfigured(reason: impl Display) -> RunError {
    let message = format!("the stack's language provider is misconfigured: {reason}");
    RunError::permanent(ErrorCode::ProviderNotConfigured, message)
}

//! Runs the tasks of language models, through a provider.

mod model;
mod run_job;
#[cfg(test)]
mod tests;

use futures_util::future::join_all;
use mesh_task::{RunError, RunOutput};
use mesh_worker::{Job, Runner, Stop};
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::model::ModelCache;
pub use self::model::{ProviderSource, misconfigured};

/// Runs the tasks of a language model: translate, extract, and summarize and classify with `"engine": "llm"`.
#[derive(Debug)]
pub struct LanguageRunner {
    models: ModelCache,
}

impl LanguageRunner {
    /// Creates the model that `source` provides. Blocks, on a thread of a runtime. A failure is not fatal: each batch tries
    /// again, and reports the failure in its tasks.
    pub fn load(source: impl ProviderSource + 'static) -> Self {
        let models = ModelCache::new(Box::new(source));
        // Lambda gives a starting environment more CPU than a running one.
        if let Err(error) = Handle::current().block_on(models.get()) {
            tracing::error!(event = "language_model_unavailable", %error, "the language model can't be created");
        }
        Self { models }
    }

    /// Runs the jobs concurrently. A stop drops the jobs that are still running, which cancels their requests.
    async fn run_all(
        &self,
        jobs: &[Job],
        stopped: &watch::Receiver<bool>,
    ) -> Vec<Result<RunOutput, RunError>> {
        let model = match self.models.get().await {
            Ok(model) => model,
            Err(error) => return vec![Err(error); jobs.len()],
        };
        // Before any job is looked at: without a provider, nothing of it matters.
        if let Err(error) = model.language.require_provider() {
            return vec![Err(error.into()); jobs.len()];
        }
        let run = async |job: &Job| {
            let mut stopped = stopped.clone();
            tokio::select! {
                // The stop is looked at first: a job occupies this thread while it compiles its schema.
                biased;
                // The sender is owned by the stop, which outlives the run.
                _ = stopped.wait_for(|stopped| *stopped) => Err(RunError::timeout()),
                outcome = run_job::run_job(&model, job) => outcome,
            }
        };
        let outcomes = join_all(jobs.iter().map(run)).await;
        self.models.reset_if_refused(&outcomes).await;
        outcomes
    }
}

impl Runner for LanguageRunner {
    const READS_OBJECTS: bool = false;

    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let (sender, stopped) = watch::channel(false);
        stop.on_trigger(move || {
            sender.send_replace(true);
        });
        // This thread may block. The runtime's own thread drives the requests, and the connections that outlive this run.
        Handle::current().block_on(self.run_all(jobs, &stopped))
    }
}

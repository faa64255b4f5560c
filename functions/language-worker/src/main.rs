//! Runs what is asked of a language model, which a provider runs.

mod answer;
mod setup;
#[cfg(test)]
mod tests;

use futures_util::future::join_all;
use lambda_runtime::Error;
use mesh_task::{RunError, RunOutput};
use mesh_worker::{Job, Runner, Stop};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::setup::Models;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_worker::run(env!("CARGO_CRATE_NAME"), LanguageRunner::load).await
}

struct LanguageRunner {
    models: Models,
}

impl LanguageRunner {
    fn load() -> Result<Self, mesh_telemetry::SettingError> {
        let models = Models::new(setup::Settings::read()?);
        // Lambda gives a starting environment more CPU than a running one. What fails now is told to the tasks, and tried
        // again for each batch.
        if let Err(error) = Handle::current().block_on(models.get()) {
            tracing::error!(%error, "the language model is not set up");
        }
        Ok(Self { models })
    }

    /// Runs the jobs side by side. Those that are not done when the stop comes are dropped, and with them their calls.
    async fn run_all(
        &self,
        jobs: &[Job],
        stopped: &watch::Receiver<bool>,
    ) -> Vec<Result<RunOutput, RunError>> {
        let model = match self.models.get().await {
            Ok(model) => model,
            Err(error) => return vec![Err(error); jobs.len()],
        };
        let run = async |job: &Job| {
            let mut stopped = stopped.clone();
            tokio::select! {
                outcome = answer::answer(&model, job) => outcome,
                // The sender lives in the stop, which outlives the run.
                _ = stopped.wait_for(|stopped| *stopped) => Err(RunError::timeout()),
            }
        };
        let outcomes = join_all(jobs.iter().map(run)).await;
        self.models.heed(&outcomes).await;
        outcomes
    }
}

impl Runner for LanguageRunner {
    const READS_OBJECTS: bool = false;

    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let (tell, stopped) = watch::channel(false);
        stop.on_trigger(move || {
            tell.send_replace(true);
        });
        // This thread may block. What it waits for is driven by the runtime's own thread, and so are the connections,
        // which live on from run to run.
        Handle::current().block_on(self.run_all(jobs, &stopped))
    }
}

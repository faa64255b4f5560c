//! Runs what is asked of texts.

use std::time::{Duration, Instant};

use lambda_runtime::Error;
use mesh_models::{Interrupt, LoadError, ModelError, SentimentModel};
use mesh_task::{
    Content, ModelName, Parameters, RunError, RunOutput, Sentiment, SentimentLabel, TaskResult, code,
};
use mesh_worker::{Job, Runner, Stop};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_worker::run(TextRunner::load).await
}

struct TextRunner {
    sentiment: SentimentModel,
}

impl TextRunner {
    fn load() -> Result<Self, LoadError> {
        Ok(Self {
            sentiment: SentimentModel::load(&mesh_worker::assets())?,
        })
    }
}

impl Runner for TextRunner {
    const READS_OBJECTS: bool = false;

    /// All texts of the batch go through the model together.
    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let interrupt = Interrupt::new();
        stop.on_trigger({
            let interrupt = interrupt.clone();
            move || interrupt.trigger()
        });
        let texts: Vec<_> = jobs.iter().filter_map(text).collect();
        let begun = Instant::now();
        let mut sentiments = match self.sentiment.classify(&texts, &interrupt) {
            Ok(sentiments) => sentiments.into_iter(),
            Err(error) => return vec![Err(run_error(&error)); jobs.len()],
        };
        let inference = begun.elapsed();
        let outcome = |job| match text(job) {
            Some(_) => sentiments
                .next()
                .map(|sentiment| output(sentiment, inference))
                .ok_or_else(|| failed(&"an answer is missing")),
            None => Err(RunError::wrong_worker(job.task.task_type)),
        };
        jobs.iter().map(outcome).collect()
    }
}

fn text(job: &Job) -> Option<&str> {
    match (&job.input.parameters, &job.input.content) {
        (Parameters::Sentiment, Content::Text(text)) => Some(text),
        _ => None,
    }
}

fn output(sentiment: mesh_models::Sentiment, inference: Duration) -> RunOutput {
    let label = match sentiment.label {
        mesh_models::SentimentLabel::Positive => SentimentLabel::Positive,
        mesh_models::SentimentLabel::Negative => SentimentLabel::Negative,
        mesh_models::SentimentLabel::Neutral => SentimentLabel::Neutral,
    };
    RunOutput {
        result: TaskResult::Sentiment(Sentiment {
            label,
            score: sentiment.score,
        }),
        model: ModelName {
            name: SentimentModel::ID.name.to_owned(),
            version: SentimentModel::ID.version.to_owned(),
        },
        load: Duration::ZERO,
        inference,
        usage: None,
    }
}

fn run_error(error: &ModelError) -> RunError {
    match error {
        ModelError::Interrupted => RunError::timeout(),
        error => failed(error),
    }
}

/// What the model met is for the log, not for the sender.
fn failed(error: &dyn std::fmt::Display) -> RunError {
    tracing::error!(%error, "the model failed");
    RunError::transient(
        code::INFERENCE_FAILED,
        "the model failed; the worker's log says how",
    )
}

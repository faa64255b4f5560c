//! Runs the text tasks whose models are part of the stack: sentiment, embed, classify and summarize.

mod convert;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mesh_models::{Interrupt, LoadError, SentimentModel, TextModel};
use mesh_task::{Content, Parameters, RunError, RunOutput};
use mesh_worker::onnx::{self, Lazy};
use mesh_worker::{Job, Runner, Stop};

/// Runs sentiment, embed, classify and summarize.
#[derive(Debug)]
pub struct TextRunner {
    sentiment: SentimentModel,
    /// Loaded for the first task that needs it, so that a cold start for sentiment tasks does not wait for it.
    text: Lazy<TextModel>,
    assets: PathBuf,
}

type Outcome = Result<RunOutput, RunError>;

impl TextRunner {
    /// Loads the sentiment model under `assets`. The other one is loaded for the first task that needs it.
    ///
    /// # Errors
    /// When a file is absent or damaged.
    pub fn load(assets: PathBuf) -> Result<Self, LoadError> {
        Ok(Self {
            sentiment: SentimentModel::load(&assets)?,
            text: Lazy::default(),
            assets,
        })
    }

    /// Runs all texts in one call of the sentiment model.
    fn run_sentiment(&self, texts: &[&str], interrupt: &Interrupt) -> Vec<Outcome> {
        let start = Instant::now();
        let sentiments = match self.sentiment.classify(texts, interrupt) {
            Ok(sentiments) => sentiments,
            Err(error) => return vec![Err(onnx::run_error(&error)); texts.len()],
        };
        let inference = start.elapsed();
        let output = |sentiment| {
            let result = convert::sentiment(sentiment);
            Ok(onnx::output(
                result,
                SentimentModel::ID,
                Duration::ZERO,
                inference,
            ))
        };
        sentiments.into_iter().map(output).collect()
    }

    /// Runs all jobs, whatever their types, in one call of the embedder.
    fn run_text(&self, jobs: &[&Job], interrupt: &Interrupt) -> Vec<Outcome> {
        if jobs.is_empty() {
            return Vec::new();
        }
        let loaded = self.text.get(|| TextModel::load(&self.assets));
        let (model, load) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return vec![Err(error); jobs.len()],
        };
        let start = Instant::now();
        let requests: Vec<_> = jobs.iter().filter_map(|job| convert::request(job)).collect();
        let answers = match model.run(&requests, interrupt) {
            Ok(answers) => answers,
            Err(error) => return vec![Err(onnx::run_error(&error)); jobs.len()],
        };
        let inference = start.elapsed();
        let output = |(request, answer)| {
            let result = convert::result(request, answer);
            Ok(onnx::output(result, TextModel::ID, load, inference))
        };
        requests.iter().zip(answers).map(output).collect()
    }
}

impl Runner for TextRunner {
    const READS_OBJECTS: bool = false;

    /// Runs a batch of mixed task types in one call of each model that it needs.
    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Outcome> {
        let interrupt = onnx::interrupt_on(stop);
        let sentiments: Vec<_> = jobs.iter().filter_map(sentiment_text).collect();
        let text_jobs: Vec<_> = jobs
            .iter()
            .filter(|job| convert::request(job).is_some())
            .collect();
        let mut sentiments = self.run_sentiment(&sentiments, &interrupt).into_iter();
        let mut texts = self.run_text(&text_jobs, &interrupt).into_iter();
        let outcome = |job: &Job| {
            let outcome = if sentiment_text(job).is_some() {
                sentiments.next()
            } else if convert::request(job).is_some() {
                texts.next()
            } else {
                return Err(RunError::wrong_worker(job.task.task_type));
            };
            outcome.unwrap_or_else(|| Err(onnx::failed(&"an answer is missing")))
        };
        jobs.iter().map(outcome).collect()
    }
}

fn sentiment_text(job: &Job) -> Option<&str> {
    match (&job.input.parameters, &job.input.content) {
        (Parameters::Sentiment, Content::Text(text)) => Some(text),
        _ => None,
    }
}

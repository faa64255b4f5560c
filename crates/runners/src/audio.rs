//! Runs the audio tasks: transcribe.

use std::path::Path;
use std::time::{Duration, Instant};

use mesh_models::{Interrupt, LoadError, SpeechModel, SpeechVariant};
use mesh_task::{Content, Parameters, RunError, RunOutput, Segment, TaskResult, Transcript};
use mesh_worker::{Job, Runner, Stop, onnx};

/// Transcribes recordings.
#[derive(Debug)]
pub struct AudioRunner {
    speech: SpeechModel,
}

impl AudioRunner {
    /// Loads a speech model under `assets`.
    ///
    /// # Errors
    /// When a file is absent or damaged.
    pub fn load(assets: &Path, variant: SpeechVariant) -> Result<Self, LoadError> {
        Ok(Self {
            speech: SpeechModel::load(assets, variant)?,
        })
    }

    fn run_one(&self, job: &Job, interrupt: &Interrupt) -> Result<RunOutput, RunError> {
        let (Parameters::Transcribe, Content::Audio(audio)) = (&job.input.parameters, &job.input.content)
        else {
            return Err(RunError::wrong_worker(job.task.task_type));
        };
        let start = Instant::now();
        let transcript = self.speech.transcribe(audio, interrupt);
        let transcript = transcript.map_err(|error| onnx::run_error(&error))?;
        let segments = transcript.segments.into_iter().map(|segment| Segment {
            start: segment.start,
            end: segment.end,
            text: segment.text,
        });
        let result = TaskResult::Transcript(Transcript {
            text: transcript.text,
            language: transcript.language,
            segments: segments.collect(),
        });
        Ok(onnx::output(
            result,
            self.speech.id(),
            Duration::ZERO,
            start.elapsed(),
        ))
    }
}

impl Runner for AudioRunner {
    const READS_OBJECTS: bool = true;

    /// Runs one recording at a time, since each one uses the whole processor.
    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let interrupt = onnx::interrupt_on(stop);
        jobs.iter().map(|job| self.run_one(job, &interrupt)).collect()
    }
}

//! Runs what is asked of images.

use std::time::{Duration, Instant};

use lambda_runtime::Error;
use mesh_models::{FaceDetector, Interrupt, LoadError, ModelError};
use mesh_task::{
    BoundingBox, Content, Face, FaceDetection, ModelName, Parameters, Point, RunError, RunOutput, TaskResult,
    code,
};
use mesh_worker::{Job, Runner, Stop};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_worker::run(ImageRunner::load).await
}

struct ImageRunner {
    faces: FaceDetector,
}

impl ImageRunner {
    fn load() -> Result<Self, LoadError> {
        Ok(Self {
            faces: FaceDetector::load(&mesh_worker::assets())?,
        })
    }

    fn run_one(&self, job: &Job, interrupt: &Interrupt) -> Result<RunOutput, RunError> {
        let (Parameters::FaceDetection, Content::Image(image)) = (&job.input.parameters, &job.input.content)
        else {
            return Err(RunError::wrong_worker(job.task.task_type));
        };
        let begun = Instant::now();
        let faces: Vec<_> = self
            .faces
            .detect(image, interrupt)
            .map_err(run_error)?
            .iter()
            .map(face)
            .collect();
        let result = TaskResult::FaceDetection(FaceDetection {
            count: faces.len(),
            faces,
        });
        Ok(RunOutput {
            result,
            model: ModelName {
                name: FaceDetector::ID.name.to_owned(),
                version: FaceDetector::ID.version.to_owned(),
            },
            load: Duration::ZERO,
            inference: begun.elapsed(),
            usage: None,
        })
    }
}

impl Runner for ImageRunner {
    const READS_OBJECTS: bool = true;

    /// One image after the other: they differ in size, and on one core a batch of images saves nothing.
    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let interrupt = Interrupt::new();
        stop.on_trigger({
            let interrupt = interrupt.clone();
            move || interrupt.trigger()
        });
        jobs.iter().map(|job| self.run_one(job, &interrupt)).collect()
    }
}

fn face(face: &mesh_models::Face) -> Face {
    let mesh_models::Rect { x, y, width, height } = face.bounds;
    let bounds = BoundingBox { x, y, width, height };
    Face {
        bounds,
        score: face.score,
        landmarks: face.landmarks.map(|mesh_models::Point { x, y }| Point { x, y }),
    }
}

fn run_error(error: ModelError) -> RunError {
    match error {
        ModelError::Interrupted => RunError::timeout(),
        ModelError::Input(error) => RunError::permanent(error.code(), error.to_string()),
        // What the model met is for the log, not for the sender.
        error => {
            tracing::error!(%error, "the model failed");
            RunError::transient(
                code::INFERENCE_FAILED,
                "the model failed; the worker's log says how",
            )
        }
    }
}

//! Runs the image tasks: face detection and OCR.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mesh_models::{FaceDetector, Interrupt, LoadError, OcrModel, Rect};
use mesh_task::{
    BoundingBox, Content, Face, FaceDetection, Line, Page, Parameters, Point, RunError, RunOutput, TaskResult,
};
use mesh_worker::onnx::{self, Lazy};
use mesh_worker::{Job, Runner, Stop};

/// Runs face detection and OCR.
#[derive(Debug)]
pub struct ImageRunner {
    faces: FaceDetector,
    /// Loaded for the first OCR task, so that a cold start for face detection does not wait for it.
    ocr: Lazy<OcrModel>,
    assets: PathBuf,
}

impl ImageRunner {
    /// Loads the face detector under `assets`. The OCR model is loaded for the first task that needs it.
    ///
    /// # Errors
    /// When a file is absent or damaged.
    pub fn load(assets: PathBuf) -> Result<Self, LoadError> {
        Ok(Self {
            faces: FaceDetector::load(&assets)?,
            ocr: Lazy::default(),
            assets,
        })
    }

    fn run_one(&self, job: &Job, interrupt: &Interrupt) -> Result<RunOutput, RunError> {
        match (&job.input.parameters, &job.input.content) {
            (Parameters::FaceDetection, Content::Image(image)) => self.detect_faces(image, interrupt),
            (Parameters::Ocr, Content::Image(image)) => self.read(image, interrupt),
            _ => Err(RunError::wrong_worker(job.task.task_type)),
        }
    }

    fn detect_faces(&self, image: &[u8], interrupt: &Interrupt) -> Result<RunOutput, RunError> {
        let start = Instant::now();
        let faces = self.faces.detect(image, interrupt);
        let faces: Vec<_> = faces
            .map_err(|error| onnx::run_error(&error))?
            .iter()
            .map(face)
            .collect();
        let result = TaskResult::FaceDetection(FaceDetection {
            count: faces.len(),
            faces,
        });
        Ok(onnx::output(
            result,
            FaceDetector::ID,
            Duration::ZERO,
            start.elapsed(),
        ))
    }

    fn read(&self, image: &[u8], interrupt: &Interrupt) -> Result<RunOutput, RunError> {
        let (ocr, load) = self.ocr.get(|| OcrModel::load(&self.assets))?;
        let start = Instant::now();
        let page = ocr
            .read(image, interrupt)
            .map_err(|error| onnx::run_error(&error))?;
        let lines = page.lines.into_iter().map(|line| Line {
            text: line.text,
            score: line.score,
            bounds: bounding_box(line.bounds),
        });
        let result = TaskResult::Page(Page {
            text: page.text,
            lines: lines.collect(),
        });
        Ok(onnx::output(result, OcrModel::ID, load, start.elapsed()))
    }
}

impl Runner for ImageRunner {
    const READS_OBJECTS: bool = true;

    /// Runs one image at a time. Images differ in size, and batching saves nothing on one core.
    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let interrupt = onnx::interrupt_on(stop);
        jobs.iter().map(|job| self.run_one(job, &interrupt)).collect()
    }
}

fn face(face: &mesh_models::Face) -> Face {
    Face {
        bounds: bounding_box(face.bounds),
        score: face.score,
        landmarks: face.landmarks.map(|mesh_models::Point { x, y }| Point { x, y }),
    }
}

fn bounding_box(Rect { x, y, width, height }: Rect) -> BoundingBox {
    BoundingBox { x, y, width, height }
}

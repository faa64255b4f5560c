//! What each task type answers.

use serde::{Deserialize, Serialize};

/// A completed task's result. On the wire it is the inner object alone: the task's type says which one it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TaskResult {
    /// Answers `face_detection`. It stands first: untagged reading takes the first shape that fits.
    FaceDetection(FaceDetection),
    /// Answers `sentiment`.
    Sentiment(Sentiment),
}

/// Whether a text speaks well or ill of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sentiment {
    /// The side the model takes.
    pub label: SentimentLabel,
    /// How sure it is of that side, 0 to 1.
    pub score: f32,
}

/// The sides a model of sentiment can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SentimentLabel {
    /// Speaks well of it.
    Positive,
    /// Speaks ill of it.
    Negative,
    /// Too close to call: inside the model's narrow neutral band.
    Neutral,
}

/// The faces on a picture, surest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaceDetection {
    /// How many faces were found.
    pub count: usize,
    /// Each of them.
    pub faces: Vec<Face>,
}

/// One face, in pixels of the original picture held upright (after its EXIF orientation).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// The rectangle around it.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
    /// How sure the model is that it is a face, 0 to 1.
    pub score: f32,
    /// Left eye, right eye, nose, left and right corner of the mouth, as the viewer sees them.
    pub landmarks: [Point; 5],
}

/// A rectangle, from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the upper edge.
    pub y: f32,
    /// Pixels.
    pub width: f32,
    /// Pixels.
    pub height: f32,
}

/// A place on a picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the upper edge.
    pub y: f32,
}

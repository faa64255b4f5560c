//! What each task type answers.

use serde::{Deserialize, Serialize};

use crate::{RunError, code};

/// The largest result that rides inside the task's item, in bytes of JSON. A larger one is an object in the payload
/// bucket: there a write costs as much as 8 KB in the table, and a reader of the item need not carry it along.
pub const MAX_INLINE_RESULT_BYTES: usize = 32_768;
/// The largest result that is kept at all: far above what any model here answers.
pub const MAX_RESULT_BYTES: usize = 10_000_000;

/// A completed task's result. On the wire it is the inner object alone: the task's type says which one it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TaskResult {
    /// Answers `face_detection`. It stands first: untagged reading takes the first shape that fits.
    FaceDetection(FaceDetection),
    /// Answers `sentiment`.
    Sentiment(Sentiment),
}

impl TaskResult {
    /// The result as JSON, if it is too large to ride inside the item.
    ///
    /// # Errors
    /// Permanent when it is too large to be kept at all: the same input would give the same result.
    pub fn oversize(&self) -> Result<Option<Vec<u8>>, RunError> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let bytes = json.len();
        if bytes > MAX_RESULT_BYTES {
            let told =
                format!("the result has {bytes} bytes and may have {MAX_RESULT_BYTES}: send a smaller input");
            return Err(RunError::permanent(code::RESULT_TOO_LARGE, told));
        }
        Ok((bytes > MAX_INLINE_RESULT_BYTES).then_some(json))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn faces(count: usize) -> TaskResult {
        let point = Point { x: 1234.5, y: 1234.5 };
        let bounds = BoundingBox {
            x: 1234.5,
            y: 1234.5,
            width: 12.5,
            height: 12.5,
        };
        TaskResult::FaceDetection(FaceDetection {
            count,
            faces: vec![
                Face {
                    bounds,
                    score: 0.5,
                    landmarks: [point; 5]
                };
                count
            ],
        })
    }

    #[test]
    fn a_large_result_does_not_ride_inside_and_a_huge_one_is_not_kept() {
        assert_eq!(faces(50).oversize(), Ok(None));
        let json = faces(500).oversize().unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<TaskResult>(&json).unwrap(), faces(500));
        let refused = faces(60_000).oversize().err().map(|error| error.code);
        assert_eq!(refused, Some(code::RESULT_TOO_LARGE));
    }

    #[test]
    fn each_result_is_read_back_as_what_it_was() {
        let sentiment = TaskResult::Sentiment(Sentiment {
            label: SentimentLabel::Neutral,
            score: 0.5,
        });
        for result in [sentiment, faces(0), faces(2)] {
            let json = serde_json::to_string(&result).unwrap();
            assert_eq!(
                serde_json::from_str::<TaskResult>(&json).unwrap(),
                result,
                "{json}"
            );
        }
    }
}

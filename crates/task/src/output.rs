//! The result of each task type.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ErrorCode, RunError, storable};

/// The largest result that the task's item contains, in bytes of JSON. A larger one is an object in the payload bucket: that
/// write costs as much as 8 KB in the table, and nobody who reads the item pays for the result.
pub const MAX_INLINE_RESULT_BYTES: usize = 32_768;
/// The largest result that is stored at all, in bytes of JSON. No bundled model returns as much.
pub const MAX_RESULT_BYTES: usize = 10_000_000;

/// A completed task's result. On the wire it is only the inner object: the task's type says which one.
///
/// Each type has its own set of fields and refuses others, so that a stored result is read back as the type it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum TaskResult {
    /// Of `sentiment`.
    Sentiment(Sentiment),
    /// Of `classify`.
    Classification(Classification),
    /// Of `embed`.
    Embeddings(Embeddings),
    /// Of `summarize`.
    Summary(Summary),
    /// Of `translate`.
    Translation(Translation),
    /// Of `data_extraction`.
    Extraction(Extraction),
    /// Of `face_detection`.
    FaceDetection(FaceDetection),
    /// Of `ocr`.
    Page(Page),
    /// Of `transcribe`.
    Transcript(Transcript),
}

impl TaskResult {
    /// The result as JSON if it must be an object in the payload bucket: it is too large for the item, or contains what
    /// DynamoDB refuses. `None` if the item can contain it.
    ///
    /// # Errors
    /// Permanent above [`MAX_RESULT_BYTES`]: the same input would give the same result.
    pub fn to_object(&self) -> Result<Option<Vec<u8>>, RunError> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let bytes = json.len();
        if bytes > MAX_RESULT_BYTES {
            let message = format!(
                "the result has {bytes} bytes, above the limit of {MAX_RESULT_BYTES}: send a smaller input"
            );
            return Err(RunError::permanent(ErrorCode::ResultTooLarge, message));
        }
        Ok((bytes > MAX_INLINE_RESULT_BYTES || !self.is_storable()).then_some(json))
    }

    /// Whether DynamoDB accepts the result. Only an extraction contains JSON that a language model wrote.
    fn is_storable(&self) -> bool {
        match self {
            Self::Extraction(it) => storable::fault(&Value::Object(it.fields.clone())).is_none(),
            _ => true,
        }
    }
}

/// Whether a text is positive or negative about its subject.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Sentiment {
    /// The label with the higher probability, or `NEUTRAL` if they are too close.
    pub label: SentimentLabel,
    /// The probability of the label, 0 to 1.
    pub score: f32,
    /// The probability that the text is positive, 0 to 1. It shows the tendency of a text whose label is `NEUTRAL`.
    pub positive: f32,
}

/// The labels of `sentiment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum SentimentLabel {
    /// The text is positive about its subject.
    Positive,
    /// The text is negative about its subject.
    Negative,
    /// The probability lies in the model's narrow neutral band.
    Neutral,
}

/// Which label fits a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// The label that fits best.
    pub label: String,
    /// The score of the best label, 0 to 1.
    pub score: f32,
    /// Every label with its score, best first. The scores add up to 1, except with `multi_label`: then each is an independent
    /// probability.
    pub scores: Vec<LabelScore>,
}

/// How well a label fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabelScore {
    /// The label as the task named it.
    pub label: String,
    /// How well the label fits, 0 to 1.
    pub score: f32,
}

/// Vectors of texts. Texts of similar meaning have vectors of similar direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Embeddings {
    /// One vector for each text, in order: 384 numbers, of length 1.
    pub embeddings: Vec<Vec<f32>>,
}

/// The most important sentences of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The sentences joined to one text.
    pub summary: String,
    /// The sentences in the order of the text.
    pub sentences: Vec<String>,
}

/// A text in another language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Translation {
    /// The translated text.
    pub text: String,
}

/// The values that a text gives for the fields of a schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Extraction {
    /// An object that matches the task's schema.
    pub fields: Map<String, Value>,
}

/// The text in an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The lines in reading order, separated by line breaks.
    pub text: String,
    /// The lines in reading order, with their places.
    pub lines: Vec<Line>,
}

/// One line of text. Coordinates are pixels of the original image, turned upright by its EXIF orientation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Line {
    /// The characters of the line.
    pub text: String,
    /// The model's confidence in the characters, 0 to 1.
    pub score: f32,
    /// The rectangle around it, in pixels.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
}

/// The speech in a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// The text of all segments.
    pub text: String,
    /// The language as an ISO 639-1 code; `null` if nobody speaks.
    pub language: Option<String>,
    /// The parts in order; empty if nobody speaks.
    pub segments: Vec<Segment>,
}

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Segment {
    /// When the segment begins, in seconds from the beginning of the recording.
    pub start: f32,
    /// When the segment ends, in seconds from the beginning of the recording.
    pub end: f32,
    /// What is said in the segment.
    pub text: String,
}

/// The faces in an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FaceDetection {
    /// The number of faces.
    pub count: usize,
    /// The faces, highest score first.
    pub faces: Vec<Face>,
}

/// One face. Coordinates are pixels of the original image, turned upright by its EXIF orientation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Face {
    /// The rectangle around it, in pixels.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
    /// The model's confidence that this is a face, 0 to 1.
    pub score: f32,
    /// Left eye, right eye, nose, left and right corner of the mouth, as seen by the viewer.
    pub landmarks: [Point; 5],
}

/// A rectangle, given by its upper left corner and its size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BoundingBox {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the upper edge.
    pub y: f32,
    /// In pixels.
    pub width: f32,
    /// In pixels.
    pub height: f32,
}

/// A point in an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the upper edge.
    pub y: f32,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn a_large_result_is_an_object_and_a_huge_one_is_refused() {
        assert_eq!(faces(50).to_object(), Ok(None));
        let json = faces(500).to_object().unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<TaskResult>(&json).unwrap(), faces(500));
        let refused = faces(60_000).to_object().err().map(|error| error.code);
        assert_eq!(refused, Some(ErrorCode::ResultTooLarge));
    }

    #[test]
    fn an_extraction_that_dynamodb_refuses_is_an_object() {
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        for (field, is_object) in [
            (json!(1e125), false),
            (json!(1e130), true),
            (json!(1e-200), true),
            (deep, true),
        ] {
            let result = json!({ "fields": { "a": field } });
            let result: TaskResult = serde_json::from_value(result).unwrap();
            let json = serde_json::to_vec(&result).unwrap();
            assert_eq!(
                result.to_object().unwrap(),
                is_object.then_some(json),
                "{result:?}"
            );
        }
    }

    #[test]
    fn each_result_is_read_back_as_what_it_was() {
        let bounds = json!({ "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0 });
        let line = json!({ "text": "a", "score": 0.5, "box": bounds });
        for (json, variant) in [
            (
                json!({ "label": "NEUTRAL", "score": 0.5, "positive": 0.25 }),
                "Sentiment(",
            ),
            (
                json!({ "label": "NEUTRAL", "score": 0.5, "scores": [{ "label": "NEUTRAL", "score": 0.5 }] }),
                "Classification(",
            ),
            (json!({ "embeddings": [[0.5, -0.5]] }), "Embeddings("),
            (json!({ "summary": "a", "sentences": ["a"] }), "Summary("),
            (json!({ "text": "a" }), "Translation("),
            (
                json!({ "fields": { "label": "POSITIVE", "score": 1 } }),
                "Extraction(",
            ),
            (json!({ "count": 0, "faces": [] }), "FaceDetection("),
            (json!({ "text": "a", "lines": [line] }), "Page("),
            (
                json!({ "text": "a", "language": "en", "segments": [{ "start": 0.0, "end": 1.5, "text": "a" }] }),
                "Transcript(",
            ),
        ] {
            let result: TaskResult = serde_json::from_value(json.clone()).unwrap();
            assert!(format!("{result:?}").starts_with(variant), "{result:?}");
            assert_eq!(serde_json::to_value(&result).unwrap(), json);
        }
    }
}

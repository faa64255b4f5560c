//! What each task type answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{RunError, code, storable};

/// The largest result that rides inside the task's item, in bytes of JSON. A larger one is an object in the payload
/// bucket: there a write costs as much as 8 KB in the table, and a reader of the item need not carry it along.
pub const MAX_INLINE_RESULT_BYTES: usize = 32_768;
/// The largest result that is kept at all: far above what any model here answers.
pub const MAX_RESULT_BYTES: usize = 10_000_000;

/// A completed task's result. On the wire it is the inner object alone: the task's type says which one it is.
///
/// Each has its own set of fields and refuses others, so that reading one back can't take it for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum TaskResult {
    /// Answers `sentiment`.
    Sentiment(Sentiment),
    /// Answers `classify`.
    Classification(Classification),
    /// Answers `embed`.
    Embeddings(Embeddings),
    /// Answers `summarize`.
    Summary(Summary),
    /// Answers `translate`.
    Translation(Translation),
    /// Answers `data_extraction`.
    Extraction(Extraction),
    /// Answers `face_detection`.
    FaceDetection(FaceDetection),
    /// Answers `ocr`.
    Page(Page),
    /// Answers `transcribe`.
    Transcript(Transcript),
}

impl TaskResult {
    /// The result as JSON, if it can't ride inside the item: it is too large, or holds what no item can.
    ///
    /// # Errors
    /// Permanent when it is too large to be kept at all: the same input would give the same result.
    pub fn to_object(&self) -> Result<Option<Vec<u8>>, RunError> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let bytes = json.len();
        if bytes > MAX_RESULT_BYTES {
            let told =
                format!("the result has {bytes} bytes and may have {MAX_RESULT_BYTES}: send a smaller input");
            return Err(RunError::permanent(code::RESULT_TOO_LARGE, told));
        }
        Ok((bytes > MAX_INLINE_RESULT_BYTES || !self.is_storable()).then_some(json))
    }

    /// Whether an item can hold what it says. Only an extraction's words are not ours.
    fn is_storable(&self) -> bool {
        match self {
            Self::Extraction(it) => storable::fault(&Value::Object(it.fields.clone())).is_none(),
            _ => true,
        }
    }
}

/// Whether a text speaks well or ill of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Sentiment {
    /// The side the model takes.
    pub label: SentimentLabel,
    /// How sure it is of that side, 0 to 1.
    pub score: f32,
    /// How probable it finds that the text speaks well, 0 to 1: what leans which way where the label is NEUTRAL.
    pub positive: f32,
}

/// The sides a model of sentiment can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum SentimentLabel {
    /// Speaks well of it.
    Positive,
    /// Speaks ill of it.
    Negative,
    /// Too close to call: inside the model's narrow neutral band.
    Neutral,
}

/// Which label fits a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// The label that fits best.
    pub label: String,
    /// Its score.
    pub score: f32,
    /// Every label with its score, best first. They add up to 1, unless several labels may fit: then each is a
    /// probability of its own, 0 to 1.
    pub scores: Vec<LabelScore>,
}

/// How well a label fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabelScore {
    /// As it was given.
    pub label: String,
    /// 0 to 1.
    pub score: f32,
}

/// Where texts lie by their meaning: what means the same points the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Embeddings {
    /// For each text, in order: 384 numbers, a vector of length 1.
    pub embeddings: Vec<Vec<f32>>,
}

/// What a text says, in few sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The sentences as one text.
    pub summary: String,
    /// The sentences, in the order of the text.
    pub sentences: Vec<String>,
}

/// What a text says, in another language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Translation {
    /// The translation.
    pub text: String,
}

/// What a text says of each field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Extraction {
    /// An object that fits the schema.
    pub fields: Map<String, Value>,
}

/// What is written on a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The lines in the order of reading, a line break between each two.
    pub text: String,
    /// Each line.
    pub lines: Vec<Line>,
}

/// One line of text, in pixels of the original picture held upright (after its EXIF orientation).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Line {
    /// What it says.
    pub text: String,
    /// How sure the model is of its characters, 0 to 1.
    pub score: f32,
    /// The rectangle around it.
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
}

/// What is said in a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// All of it.
    pub text: String,
    /// The language, by its ISO 639-1 code; none where nobody speaks.
    pub language: Option<String>,
    /// Its parts, in order; none where nobody speaks.
    pub segments: Vec<Segment>,
}

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Segment {
    /// Seconds from the beginning of the recording.
    pub start: f32,
    /// Seconds from the beginning of the recording.
    pub end: f32,
    /// What is said.
    pub text: String,
}

/// The faces on a picture, surest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FaceDetection {
    /// How many faces were found.
    pub count: usize,
    /// Each of them.
    pub faces: Vec<Face>,
}

/// One face, in pixels of the original picture held upright (after its EXIF orientation).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    fn a_large_result_does_not_ride_inside_and_a_huge_one_is_not_kept() {
        assert_eq!(faces(50).to_object(), Ok(None));
        let json = faces(500).to_object().unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<TaskResult>(&json).unwrap(), faces(500));
        let refused = faces(60_000).to_object().err().map(|error| error.code);
        assert_eq!(refused, Some(code::RESULT_TOO_LARGE));
    }

    #[test]
    fn an_extraction_that_no_item_can_hold_does_not_ride_inside() {
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

//! The parameters of each task type: an input's fields other than the content.

#[cfg(test)]
mod tests;

use serde::de::{DeserializeOwned, Error as _, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::InvalidInput;
use crate::{TaskType, WorkerKind, by_name, is_blank, storable};

/// The highest number of labels in one `classify` task.
pub const MAX_LABELS: usize = 100;
/// The longest label, in bytes of UTF-8.
pub const MAX_LABEL_BYTES: usize = 200;
/// The labels of a `classify` task that names none.
pub const DEFAULT_LABELS: [&str; 12] = [
    "business",
    "crime",
    "education",
    "entertainment",
    "environment",
    "food",
    "health",
    "politics",
    "science",
    "sports",
    "technology",
    "travel",
];
/// The highest number of sentences of a summary.
pub const MAX_SUMMARY_SENTENCES: u32 = 100;
/// The number of sentences of a summary for which the client names no length.
pub const DEFAULT_SUMMARY_SENTENCES: u32 = 3;
/// The longest schema, in bytes of JSON.
pub const MAX_SCHEMA_BYTES: usize = 16_384;
/// The longest name of a language, in bytes.
const MAX_LANGUAGE_BYTES: usize = 40;

/// Which model runs a task that both a bundled model and a language model can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// A bundled model.
    #[default]
    Onnx,
    /// The language model of the stack's provider.
    Llm,
}

impl Engine {
    const fn worker_kind(self) -> WorkerKind {
        match self {
            Self::Onnx => WorkerKind::Text,
            Self::Llm => WorkerKind::Language,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The parameters of each type. The types whose variant is empty accept none.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameters {
    Sentiment,
    /// The labels and the engine.
    Classify(Classify),
    Embed,
    /// The length and the engine.
    Summarize(Summarize),
    /// The language.
    Translate(Translate),
    /// The schema.
    DataExtraction(DataExtraction),
    FaceDetection,
    Ocr,
    Transcribe,
}

/// The parameters of `classify`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classify {
    /// 2 to [`MAX_LABELS`] different labels, or 1 with `multi_label`; `None` for [`DEFAULT_LABELS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Whether each label is scored independently, so that several labels or none can fit.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub multi_label: bool,
    #[serde(
        default,
        deserialize_with = "engine",
        skip_serializing_if = "Engine::is_default"
    )]
    pub engine: Engine,
}

/// The parameters of `summarize`. At most one of `max_sentences` and `ratio` is present.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summarize {
    /// 1 to [`MAX_SUMMARY_SENTENCES`]; [`DEFAULT_SUMMARY_SENTENCES`] if both are absent.
    #[serde(
        default,
        deserialize_with = "max_sentences",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_sentences: Option<u32>,
    /// The summary's share of the sentences: above 0, at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    #[serde(
        default,
        deserialize_with = "engine",
        skip_serializing_if = "Engine::is_default"
    )]
    pub engine: Engine,
}

/// The parameters of `translate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Translate {
    /// A code (`de`, `pt-BR`) or an English name (`German`).
    pub target_language: String,
}

/// The parameters of `data_extraction`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataExtraction {
    /// A JSON Schema of an object, or an object that gives each field's type: `{"name": "string"}`.
    pub schema: Value,
}

impl Parameters {
    /// Checks an input's fields without the content.
    pub(super) fn parse(task_type: TaskType, fields: Map<String, Value>) -> Result<Self, InvalidInput> {
        let unstorable = fields
            .iter()
            .find_map(|(name, value)| Some(format!("input.{name} {}", storable::fault(value)?)));
        if let Some(fault) = unstorable {
            return Err(InvalidInput(fault));
        }
        let parameters = match task_type {
            TaskType::Sentiment => without_fields(task_type, fields, Self::Sentiment)?,
            TaskType::Classify => Self::Classify(read(task_type, fields)?),
            TaskType::Embed => without_fields(task_type, fields, Self::Embed)?,
            TaskType::Summarize => Self::Summarize(read(task_type, fields)?),
            TaskType::Translate => Self::Translate(read(task_type, fields)?),
            TaskType::DataExtraction => Self::DataExtraction(read(task_type, fields)?),
            TaskType::FaceDetection => without_fields(task_type, fields, Self::FaceDetection)?,
            TaskType::Ocr => without_fields(task_type, fields, Self::Ocr)?,
            TaskType::Transcribe => without_fields(task_type, fields, Self::Transcribe)?,
        };
        match parameters.fault() {
            None => Ok(parameters),
            Some(fault) => Err(InvalidInput(format!("input.{fault}"))),
        }
    }

    /// The parameters as fields of an input, without those that have their default value.
    #[must_use]
    pub fn to_fields(&self) -> Map<String, Value> {
        let fields = match self {
            Self::Classify(it) => serde_json::to_value(it),
            Self::Summarize(it) => serde_json::to_value(it),
            Self::Translate(it) => serde_json::to_value(it),
            Self::DataExtraction(it) => serde_json::to_value(it),
            Self::Sentiment | Self::Embed | Self::FaceDetection | Self::Ocr | Self::Transcribe => {
                return Map::new();
            }
        };
        match fields {
            Ok(Value::Object(fields)) => fields,
            // These structs always serialize to an object.
            _ => Map::new(),
        }
    }

    /// The worker that runs a task with these parameters.
    #[must_use]
    pub const fn worker_kind(&self) -> WorkerKind {
        match self {
            Self::Classify(it) => it.engine.worker_kind(),
            Self::Summarize(it) => it.engine.worker_kind(),
            Self::Sentiment => TaskType::Sentiment.default_worker(),
            Self::Embed => TaskType::Embed.default_worker(),
            Self::Translate(_) => TaskType::Translate.default_worker(),
            Self::DataExtraction(_) => TaskType::DataExtraction.default_worker(),
            Self::FaceDetection => TaskType::FaceDetection.default_worker(),
            Self::Ocr => TaskType::Ocr.default_worker(),
            Self::Transcribe => TaskType::Transcribe.default_worker(),
        }
    }

    /// What is wrong with a value and what to send; `None` if all values are valid.
    fn fault(&self) -> Option<String> {
        match self {
            Self::Classify(it) => it.fault(),
            Self::Summarize(it) => it.fault(),
            Self::Translate(it) => it.fault(),
            Self::DataExtraction(it) => it.fault(),
            Self::Sentiment | Self::Embed | Self::FaceDetection | Self::Ocr | Self::Transcribe => None,
        }
    }
}

impl Classify {
    /// The task's labels, or [`DEFAULT_LABELS`].
    #[must_use]
    pub fn labels_or_default(&self) -> Vec<&str> {
        match &self.labels {
            Some(labels) => labels.iter().map(String::as_str).collect(),
            None => DEFAULT_LABELS.to_vec(),
        }
    }

    fn fault(&self) -> Option<String> {
        let labels = self.labels.as_ref()?;
        let min = if self.multi_label { 1 } else { 2 };
        if !(min..=MAX_LABELS).contains(&labels.len()) {
            let count = labels.len();
            return Some(format!(
                "labels has length {count}: send {min} to {MAX_LABELS} labels, or omit labels for the default set"
            ));
        }
        for (index, label) in labels.iter().enumerate() {
            if is_blank(label) || label.len() > MAX_LABEL_BYTES {
                return Some(format!(
                    "labels[{index}] is empty or longer than {MAX_LABEL_BYTES} bytes: send a word or a short phrase"
                ));
            }
            if labels[..index].contains(label) {
                return Some(format!("labels[{index}] is a duplicate: list each label once"));
            }
        }
        None
    }
}

impl Summarize {
    fn fault(&self) -> Option<String> {
        match (self.max_sentences, self.ratio) {
            (Some(_), Some(_)) => Some("max_sentences and ratio exclude each other: send one".to_owned()),
            (Some(count), None) if !(1..=MAX_SUMMARY_SENTENCES).contains(&count) => Some(format!(
                "max_sentences is {count}: send 1 to {MAX_SUMMARY_SENTENCES}"
            )),
            (None, Some(ratio)) if !(ratio > 0.0 && ratio <= 1.0) => {
                Some(format!("ratio is {ratio}: send a number above 0 and at most 1"))
            }
            _ => None,
        }
    }
}

impl Translate {
    fn fault(&self) -> Option<String> {
        let language = &self.target_language;
        let is_name = language
            .chars()
            .all(|c| c.is_alphanumeric() || " -_()".contains(c));
        let is_valid = is_name && language.len() <= MAX_LANGUAGE_BYTES && !is_blank(language);
        (!is_valid).then(|| {
            r#"target_language is not a language: send a code ("de", "pt-BR") or a name ("German")"#
                .to_owned()
        })
    }
}

impl DataExtraction {
    fn fault(&self) -> Option<String> {
        let is_empty = self.schema.as_object().is_none_or(Map::is_empty);
        if is_empty {
            return Some(
                r#"schema must be a JSON Schema, or an object of fields and their types: {"name": "string"}"#
                    .to_owned(),
            );
        }
        let bytes = self.schema.to_string().len();
        (bytes > MAX_SCHEMA_BYTES)
            .then(|| format!("schema has {bytes} bytes: send at most {MAX_SCHEMA_BYTES}"))
    }
}

/// Reads `null` as if the field were absent.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(given: D) -> Result<T, D::Error> {
    Option::deserialize(given).map(Option::unwrap_or_default)
}

/// Reads the name of an engine. serde by itself would accept `{"llm": null}` too.
fn engine<'de, D: Deserializer<'de>>(given: D) -> Result<Engine, D::Error> {
    let name = Option::<String>::deserialize(given)?;
    name.map_or_else(|| Ok(Engine::default()), |name| by_name(name.into_deserializer()))
}

fn max_sentences<'de, D: Deserializer<'de>>(given: D) -> Result<Option<u32>, D::Error> {
    let Some(given) = Option::<Value>::deserialize(given)? else {
        return Ok(None);
    };
    let number = given.as_u64().and_then(|number| u32::try_from(number).ok());
    // serde's own message does not name the field.
    let refusal =
        || format!("max_sentences is {given}: send a whole number from 1 to {MAX_SUMMARY_SENTENCES}");
    number.map(Some).ok_or_else(|| D::Error::custom(refusal()))
}

fn read<T: DeserializeOwned>(task_type: TaskType, fields: Map<String, Value>) -> Result<T, InvalidInput> {
    serde_json::from_value(fields.into())
        .map_err(|why| InvalidInput::new_with_shape(task_type, &why.to_string()))
}

fn without_fields<T>(
    task_type: TaskType,
    fields: Map<String, Value>,
    parameters: T,
) -> Result<T, InvalidInput> {
    match fields.keys().next() {
        None => Ok(parameters),
        Some(unknown) => Err(InvalidInput::new_with_shape(
            task_type,
            &format!("unknown field `{unknown}`"),
        )),
    }
}

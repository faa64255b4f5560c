//! A task before the API accepted it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_task::{Metadata, Parameters, Priority, TaskType, UploadId};
use serde::Serialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Submission {
    #[serde(rename = "type")]
    task_type: TaskType,
    input: Map<String, Value>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
    priority: Priority,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
}

/// The content of a task's input. The API refuses a content that the task type does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Text(String),
    /// For [`Parameters::Embed`] only.
    Texts(Vec<String>),
    /// An image file of at most about 4.5 MB. Upload a larger one.
    Image(Vec<u8>),
    /// An audio file of at most about 4.5 MB. Upload a larger one.
    Audio(Vec<u8>),
    /// An id that [`Client::upload`](crate::Client::upload) returned.
    Upload(UploadId),
}

impl Submission {
    /// A task of normal priority, with the default limits of its type.
    #[must_use]
    pub fn new(parameters: &Parameters, source: &Source) -> Self {
        let mut input = parameters.to_fields();
        let (name, value) = match source {
            Source::Text(text) => ("text", json!(text)),
            Source::Texts(texts) => ("texts", json!(texts)),
            Source::Image(file) => ("image", json!(STANDARD.encode(file))),
            Source::Audio(file) => ("audio", json!(STANDARD.encode(file))),
            Source::Upload(id) => ("upload", json!(id)),
        };
        input.insert(name.to_owned(), value);
        Self::raw(task_type(parameters), input)
    }

    /// A task whose `input` is given as the JSON that the API takes.
    #[must_use]
    pub fn raw(task_type: TaskType, input: Map<String, Value>) -> Self {
        Self {
            task_type,
            input,
            metadata: Metadata::new(),
            priority: Priority::default(),
            max_attempts: None,
            timeout_seconds: None,
        }
    }

    /// Adds a pair of metadata, which the API returns with the task.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// 1 to 10. Without it the stack's retry policy applies.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = Some(max_attempts);
        self
    }

    /// The time limit of one attempt. Without it the worker's time limit applies.
    #[must_use]
    pub fn timeout_seconds(mut self, seconds: u32) -> Self {
        self.timeout_seconds = Some(seconds);
        self
    }
}

const fn task_type(parameters: &Parameters) -> TaskType {
    match parameters {
        Parameters::Sentiment => TaskType::Sentiment,
        Parameters::Classify(_) => TaskType::Classify,
        Parameters::Embed => TaskType::Embed,
        Parameters::Summarize(_) => TaskType::Summarize,
        Parameters::Translate(_) => TaskType::Translate,
        Parameters::DataExtraction(_) => TaskType::DataExtraction,
        Parameters::FaceDetection => TaskType::FaceDetection,
        Parameters::Ocr => TaskType::Ocr,
        Parameters::Transcribe => TaskType::Transcribe,
    }
}

#[cfg(test)]
mod tests {
    use mesh_task::{Classify, NewTask, Submitted, Summarize, Translate};

    use super::*;

    #[test]
    fn the_api_parses_every_submission_as_it_was_built() {
        let text = Source::Text("fine".to_owned());
        let classify = Classify {
            labels: Some(vec!["a".to_owned(), "b".to_owned()]),
            multi_label: true,
            ..Classify::default()
        };
        let translate = Translate {
            target_language: "de".to_owned(),
        };
        for (parameters, source) in [
            (Parameters::Sentiment, &text),
            (Parameters::Classify(classify), &text),
            (
                Parameters::Embed,
                &Source::Texts(vec!["a".to_owned(), "b".to_owned()]),
            ),
            (Parameters::Summarize(Summarize::default()), &text),
            (Parameters::Translate(translate), &text),
            (
                Parameters::Ocr,
                &Source::Image(b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()),
            ),
            (Parameters::FaceDetection, &Source::Upload(UploadId::generate())),
        ] {
            let submission = Submission::new(&parameters, source)
                .metadata("order", "42")
                .priority(Priority::High)
                .max_attempts(2)
                .timeout_seconds(9);
            let task = NewTask::parse(json!(submission)).unwrap();
            assert_eq!(task.input.parameters(), &parameters);
            assert_eq!(
                (task.priority, task.max_attempts, task.timeout_seconds),
                (Priority::High, Some(2), Some(9))
            );
            assert_eq!(task.metadata["order"], "42");
            assert_eq!(
                matches!(task.input, Submitted::Uploaded(_)),
                matches!(source, Source::Upload(_))
            );
        }
    }
}

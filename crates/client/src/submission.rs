//! What is submitted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_task::{Metadata, Parameters, Priority, TaskType, UploadId};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A task to run.
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

/// What a task is asked of. The API says if its type takes another kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A text.
    Text(String),
    /// Several texts, for [`Parameters::Embed`].
    Texts(Vec<String>),
    /// An image file's bytes, up to some 4.5 MB: larger ones are uploaded.
    Image(Vec<u8>),
    /// A recording's bytes, up to some 4.5 MB: larger ones are uploaded.
    Audio(Vec<u8>),
    /// What was uploaded by [`Client::upload`](crate::Client::upload).
    Upload(UploadId),
}

impl Submission {
    /// A task of normal priority, with the limits of its type.
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

    /// The same of an input as the API's documentation shows it.
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

    /// Adds a note of the caller's own, which is given back with the task.
    #[must_use]
    pub fn note(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// How soon it is to run.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How often it is tried at most.
    #[must_use]
    pub fn max_attempts(mut self, most: u32) -> Self {
        self.max_attempts = Some(most);
        self
    }

    /// How long one attempt may run.
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
    fn what_is_made_here_is_what_the_api_reads() {
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
                .note("order", "42")
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

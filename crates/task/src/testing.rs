//! What the tests of several crates begin with: a task, its input and its result.
//!
//! ```
//! use mesh_task::{TaskType, testing};
//!
//! let mut task = testing::task();
//! task.max_attempts = 1;
//! let image = testing::task_of(TaskType::Ocr);
//! assert_ne!(task.id, image.id);
//! ```

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Finished, Input, ModelName, Payload, Priority, Report, RunOutput, Sentiment, SentimentLabel, Size,
    StoredResult, Submitted, Task, TaskDraft, TaskId, TaskResult, TaskType, Tenant,
};

/// When the tasks of tests are accepted.
pub const NOON: Timestamp = Timestamp::constant(1_700_000_000, 123_000_000);

/// A draft of this type for its default worker, small, with three attempts. Its input is [`input`]'s.
#[must_use]
pub fn draft(task_type: TaskType) -> TaskDraft {
    TaskDraft {
        id: TaskId::generate(),
        tenant: Tenant::first(),
        task_type,
        worker_kind: task_type.default_worker(),
        size: Size::Small,
        priority: Priority::Normal,
        payload: Payload::Inline(input(task_type)),
        metadata: [].into(),
        max_attempts: 3,
        timeout_seconds: None,
        correlation_id: String::new(),
    }
}

/// A sentiment task that was accepted at [`NOON`] and is due a minute later.
#[must_use]
pub fn task() -> Task {
    task_of(TaskType::Sentiment)
}

/// A task of this type that was accepted at [`NOON`] and is due a minute later.
#[must_use]
pub fn task_of(task_type: TaskType) -> Task {
    Task::new(draft(task_type), NOON, NOON + Duration::from_secs(60))
}

/// A task with this input, and the input as a worker reads it.
///
/// # Panics
/// When the API would refuse the input, or when the input names an upload.
#[must_use]
pub fn task_with(task_type: TaskType, input: Value) -> (Task, Input) {
    let parsed = match Submitted::parse(task_type, input.clone()) {
        Ok(Submitted::Whole(parsed)) => parsed,
        Ok(Submitted::Uploaded(_)) => panic!("the input names an upload: {input}"),
        Err(error) => panic!("{input} is not an input of {task_type}: {error}"),
    };
    let mut task = task_of(task_type);
    task.worker_kind = parsed.parameters.worker_kind();
    task.payload = Payload::Inline(input);
    (task, parsed)
}

/// An input that the API accepts for this type.
fn input(task_type: TaskType) -> Value {
    // The smallest GIF, and the head of a WAV file.
    let pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let silence = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YQIAAAAAAA==";
    match task_type {
        TaskType::Sentiment | TaskType::Classify | TaskType::Embed | TaskType::Summarize => {
            json!({ "text": "fine" })
        }
        TaskType::Translate => json!({ "text": "fine", "target_language": "de" }),
        TaskType::DataExtraction => json!({ "text": "fine", "schema": { "mood": "string" } }),
        TaskType::FaceDetection | TaskType::Ocr => json!({ "image": pixel }),
        TaskType::Transcribe => json!({ "audio": silence }),
    }
}

/// A result for [`task`].
#[must_use]
pub fn result() -> TaskResult {
    TaskResult::Sentiment(Sentiment {
        label: SentimentLabel::Positive,
        score: 1.0,
        positive: 1.0,
    })
}

/// What a runner returns for [`task`].
#[must_use]
pub fn run_output() -> RunOutput {
    RunOutput {
        result: result(),
        model: ModelName {
            name: "model".to_owned(),
            version: "1".to_owned(),
        },
        load: Duration::from_millis(2),
        inference: Duration::from_millis(3),
        usage: None,
    }
}

/// What [`task`] may be completed with.
#[must_use]
pub fn finished() -> Finished {
    Finished {
        result: StoredResult::Inline(result()),
        report: Report::new(&run_output(), Duration::from_millis(1), Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draft_has_an_input_that_the_api_accepts() {
        for task_type in TaskType::ALL {
            let (task, parsed) = task_with(task_type, input(task_type));
            assert_eq!(parsed.parameters.worker_kind(), task.worker_kind);
            assert_eq!(task.worker_kind, task_type.default_worker());
        }
    }
}

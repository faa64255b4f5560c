//! What several of this crate's tests start from.

use jiff::Timestamp;
use serde_json::json;

use crate::{
    Finished, ModelName, Payload, Report, Sentiment, SentimentLabel, Size, StoredResult, Task, TaskDraft,
    TaskId, TaskResult, TaskType, Tenant, Timings, WorkerKind,
};

/// The moment at which the tests' tasks are accepted.
pub(crate) const NOON: Timestamp = Timestamp::constant(1_700_000_000, 123_000_000);

/// A text, just accepted, with three attempts.
pub(crate) fn task() -> Task {
    let draft = TaskDraft {
        id: TaskId::generate(),
        tenant: Tenant::first(),
        task_type: TaskType::Sentiment,
        modality: WorkerKind::Text,
        size: Size::Small,
        priority: crate::Priority::Normal,
        payload: Payload::Inline(json!({ "text": "fine" })),
        metadata: [].into(),
        max_attempts: 3,
        timeout_seconds: None,
        correlation_id: String::new(),
    };
    Task::new(draft, NOON, NOON + std::time::Duration::from_secs(60))
}

/// What that text's task may be completed with.
pub(crate) fn finished() -> Finished {
    Finished {
        result: StoredResult::Inline(TaskResult::Sentiment(Sentiment {
            label: SentimentLabel::Positive,
            score: 1.0,
            positive: 1.0,
        })),
        report: Report {
            model: ModelName {
                name: "model".to_owned(),
                version: "1".to_owned(),
            },
            timings: Timings {
                queued_ms: 1,
                load_ms: 2,
                inference_ms: 3,
            },
            usage: None,
        },
    }
}

//! What several of this crate's tests start from.

use jiff::Timestamp;
use serde_json::json;

use crate::{Payload, Task, TaskDraft, TaskId, TaskType, Tenant};

/// The moment at which the tests' tasks are accepted.
pub(crate) const NOON: Timestamp = Timestamp::constant(1_700_000_000, 123_000_000);

/// A text, just accepted, with three attempts.
pub(crate) fn task() -> Task {
    let draft = TaskDraft {
        id: TaskId::generate(),
        tenant: Tenant::first(),
        task_type: TaskType::Sentiment,
        payload: Payload::Inline(json!({ "text": "fine" })),
        metadata: [].into(),
        max_attempts: 3,
        timeout_seconds: None,
    };
    Task::new(draft, NOON, NOON + std::time::Duration::from_secs(60))
}

//! Which tasks a list contains.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::{IdRange, Metadata, Priority, Status, TaskSummary, TaskType};

/// A task is accepted at most this long after its id was made: no request takes longer.
const ACCEPTED_WITHIN: Duration = Duration::from_mins(1);

/// The tasks that match every given field.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TaskFilter {
    pub status: Option<Status>,
    pub task_type: Option<TaskType>,
    pub priority: Option<Priority>,
    /// Inclusive.
    pub created_after: Option<Timestamp>,
    /// Exclusive.
    pub created_before: Option<Timestamp>,
    /// Each of these pairs.
    pub metadata: Metadata,
}

impl TaskFilter {
    #[must_use]
    pub fn matches(&self, task: &TaskSummary) -> bool {
        let has_pair = |(key, value): (&String, &String)| task.metadata.get(key) == Some(value);
        self.status.is_none_or(|status| status == task.status)
            && self.task_type.is_none_or(|task_type| task_type == task.task_type)
            && self.priority.is_none_or(|priority| priority == task.priority)
            && self.created_after.is_none_or(|after| after <= task.created_at)
            && self.created_before.is_none_or(|before| task.created_at < before)
            && self.metadata.iter().all(has_pair)
    }

    /// A range of ids that contains every matching task.
    #[must_use]
    pub fn range(&self) -> IdRange {
        let mut range = IdRange::ALL;
        if let Some(after) = self.created_after {
            range = range.since(after.checked_sub(ACCEPTED_WITHIN).unwrap_or(Timestamp::MIN));
        }
        match self.created_before {
            Some(before) => range.before(before),
            None => range,
        }
    }
}

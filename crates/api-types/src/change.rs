//! Changes of tasks, as `GET /v1/changes` lists them and the event stream sends them.

use std::fmt;

use jiff::Timestamp;
use mesh_task::{Status, TaskId, TaskType};
use serde::{Deserialize, Serialize};

/// Changes, oldest first, and the cursor to continue from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Changes))]
pub struct ChangeList {
    pub changes: Vec<ChangeView>,
    /// Send it as `after` to get the changes that follow.
    pub next: String,
    /// Absent if the stack has no event stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub links: Option<ChangeLinks>,
}

/// Other ways to get the same changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeLinks {
    /// The address of the same changes as server-sent events.
    pub events: String,
}

/// One change of a task, from the tenant's change log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Change))]
pub struct ChangeView {
    /// The number of the change. Send it as `after` to get the changes that follow.
    pub cursor: String,
    /// The id of the task.
    pub id: TaskId,
    #[serde(rename = "type")]
    pub task_type: TaskType,
    pub status: ChangeStatus,
    /// The status before the change. Null if the task is new.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub previous_status: Option<Status>,
    /// Starts at 1. Each retry or redrive adds 1.
    pub generation: u32,
    /// The number of attempts in this generation, including the current one.
    pub attempt: u32,
    /// When the task changed. The removal of a task does not count as a change of it.
    pub updated_at: Timestamp,
}

/// What a task is after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ChangeStatus {
    Task(Status),
    /// The task was deleted after its retention period.
    Removed,
    /// A status that this version does not know, from a newer API.
    Unknown(String),
}

const REMOVED: &str = "removed";

impl ChangeStatus {
    /// `None` if the task was removed, or its status is not known.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Task(status) => Some(*status),
            Self::Removed | Self::Unknown(_) => None,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Task(status) => status.as_str(),
            Self::Removed => REMOVED,
            Self::Unknown(name) => name,
        }
    }
}

impl fmt::Display for ChangeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<String> for ChangeStatus {
    fn from(name: String) -> Self {
        match Status::named(&name) {
            Some(status) => Self::Task(status),
            None if name == REMOVED => Self::Removed,
            None => Self::Unknown(name),
        }
    }
}

impl From<ChangeStatus> for String {
    fn from(status: ChangeStatus) -> Self {
        status.as_str().to_owned()
    }
}

/// An entry of the change log, with its number.
#[cfg(feature = "stats")]
impl From<(u64, mesh_stats::Change)> for ChangeView {
    fn from((number, change): (u64, mesh_stats::Change)) -> Self {
        Self {
            cursor: number.to_string(),
            id: change.id,
            task_type: change.task_type,
            status: change.status.map_or(ChangeStatus::Removed, ChangeStatus::Task),
            previous_status: change.from,
            generation: change.generation,
            attempt: change.attempt,
            updated_at: change.updated_at,
        }
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use mesh_task::Status;
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Ref, Schema, Type};
    use utoipa::{PartialSchema, ToSchema};

    use super::{ChangeStatus, REMOVED};

    impl PartialSchema for ChangeStatus {
        fn schema() -> RefOr<Schema> {
            let removed = ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some([REMOVED]));
            OneOfBuilder::new()
                .description(Some(
                    "The task's status after the change, or `removed`: the task was deleted after its retention period.",
                ))
                .item(Ref::from_schema_name(Status::name()))
                .item(removed)
                .into()
        }
    }

    impl ToSchema for ChangeStatus {}
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_status_is_read_as_what_it_is_and_written_as_it_was() {
        let parsed = |name: &str| -> ChangeStatus { serde_json::from_value(json!(name)).unwrap() };
        for status in Status::ALL {
            assert_eq!(parsed(status.as_str()), ChangeStatus::Task(status));
        }
        assert_eq!(parsed("removed"), ChangeStatus::Removed);
        assert_eq!(parsed("paused"), ChangeStatus::Unknown("paused".to_owned()));
        for name in ["completed", "removed", "paused"] {
            assert_eq!(json!(parsed(name)), json!(name));
        }
    }
}

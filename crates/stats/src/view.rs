//! A change as the API shows it.

use jiff::Timestamp;
use mesh_task::{Status, TaskId, TaskType};
use serde::Serialize;

use crate::Change;

/// One change of a task, from the tenant's change log.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Change))]
pub struct ChangeView {
    /// The number of the change. Send it as `after` to get the changes that follow.
    pub cursor: String,
    /// The id of the task.
    pub id: TaskId,
    /// The type of the task.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// The status after the change, or `removed` if the task was deleted.
    pub status: &'static str,
    /// The status before the change; `null` if the task is new.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub previous_status: Option<Status>,
    /// The generation of the task.
    pub generation: u32,
    /// How many attempts of this generation are spent.
    pub attempt: u32,
    /// When the task last changed.
    pub updated_at: Timestamp,
}

impl From<(u64, Change)> for ChangeView {
    fn from((number, change): (u64, Change)) -> Self {
        Self {
            cursor: number.to_string(),
            id: change.id,
            task_type: change.task_type,
            status: change.status.map_or("removed", Status::as_str),
            previous_status: change.from,
            generation: change.generation,
            attempt: change.attempt,
            updated_at: change.updated_at,
        }
    }
}

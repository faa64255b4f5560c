use jiff::Timestamp;
use mesh_task::{Status, TaskId, TaskType};
use serde::Serialize;

use crate::Change;

/// A change as the task's owner sees it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Change))]
pub struct ChangeView {
    /// Its number in the tenant's log: what follows is asked for by it.
    pub cursor: String,
    /// The task.
    pub id: TaskId,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// A task's status, or `removed`.
    pub status: &'static str,
    /// None if the task is new.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub previous_status: Option<Status>,
    /// Its generation.
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

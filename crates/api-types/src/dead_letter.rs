//! Dead letters, and the request that gives them new attempts.

use mesh_task::TaskId;
use serde::{Deserialize, Serialize};

use crate::TaskView;

/// A page of dead letters, newest first. It may be short, or empty, although more pages follow. The last page has no
/// `next_cursor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeadLetters))]
pub struct DeadLetterList {
    pub dead_letters: Vec<TaskView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next_cursor: Option<TaskId>,
}

/// Which dead letters to redrive: exactly one of `ids`, `type` and `all`.
///
/// Ids and the type are strings, so that the API can refuse an unknown one in its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        as = Redrive,
        description = "Which dead letters to redrive: exactly one of `ids`, `type` and `all`.",
        example = json!({ "all": true }),
    )
)]
#[serde(deny_unknown_fields)]
pub struct RedriveRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub ids: Option<Vec<String>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<mesh_task::TaskType>))]
    pub task_type: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The `next_cursor` of the response before. Not allowed with `ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The tasks that were redriven. If there is a `next_cursor`, the same request with that cursor continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Redriven))]
pub struct RedriveResponse {
    pub redriven: Vec<TaskId>,
    /// The ids of the request that are not dead letters, or no longer.
    pub skipped: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next_cursor: Option<TaskId>,
}

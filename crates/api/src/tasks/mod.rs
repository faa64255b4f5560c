//! Tasks over HTTP.

pub(crate) mod batch;
pub(crate) mod change;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod submit;
mod view;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use mesh_http::Problem;
use mesh_task::TaskId;

pub(crate) use view::{LINK_EXPIRES_IN, input_value, task_view};

/// A malformed id is reported as 404, like an unknown one.
pub(crate) fn parse_id(id: Result<Path<String>, PathRejection>) -> Result<TaskId, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or_else(Problem::task_not_found)
}

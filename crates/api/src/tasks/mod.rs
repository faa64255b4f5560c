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

pub(crate) use batch::{MAX_BATCH, submit_batch};
pub(crate) use change::{cancel, retry};
pub(crate) use list::{list, page as list_page};
pub(crate) use show::show;
pub(crate) use submit::{Submitter, submit, take, upload_type};
pub(crate) use view::TaskView;

/// The id in the path. To the caller an invalid id and an unknown one are the same.
fn parse_id(id: Result<Path<String>, PathRejection>) -> Result<TaskId, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or_else(Problem::task_not_found)
}

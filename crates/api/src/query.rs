//! What several operations with a query share: parameters, and how long a list is read.

use std::time::Duration;

use mesh_http::Problem;
use mesh_task::TaskType;

/// How long a list looks for tasks. Then it answers what it found, with a cursor. The tasks of the last keys are still read,
/// in the rest of the request's time.
pub(crate) const MAX_LIST_TIME: Duration = Duration::from_secs(10);

pub(crate) fn parse_type(given: &str) -> Result<TaskType, Problem> {
    given
        .parse()
        .map_err(|error| Problem::invalid_query(format!("type: {error}")))
}

/// A limit from 1 to `max`.
pub(crate) fn parse_limit(given: &str, max: usize) -> Result<usize, Problem> {
    let limit = given.parse().ok().filter(|limit| (1..=max).contains(limit));
    limit.ok_or_else(|| {
        Problem::invalid_query(format!(
            "limit={given} is invalid: send a whole number from 1 to {max}"
        ))
    })
}

//! Query parameters that several operations take.

use mesh_http::Problem;
use mesh_task::TaskType;

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

//! Query parameters that several operations take.

use mesh_task::TaskType;

use crate::problem::Problem;

pub(crate) fn parse_type(given: &str) -> Result<TaskType, Problem> {
    given
        .parse()
        .map_err(|error| Problem::invalid_query(format!("type: {error}")))
}

/// A limit of at most `most`.
pub(crate) fn parse_limit(given: &str, most: usize) -> Result<usize, Problem> {
    let limit = given.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| {
        Problem::invalid_query(format!("limit={given} is not a whole number from 1 to {most}"))
    })
}

//! `GET /v1/tasks/{id}`: shows one task, at once or when it is final.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use mesh_task::Tenant;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use crate::app::Api;
use crate::problem::Problem;
use crate::request::Deadline;
use crate::tasks::{TaskView, parse_id};

/// The longest wait that may be asked for, in seconds.
const MAX_WAIT: u64 = 20;
/// A waiting caller's first read again; each next one comes half as much later, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
pub(crate) struct Params {
    wait: Option<String>,
}

/// Answers with the task; with `?wait=SECONDS` not before it is final or the time is up.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    Deadline(deadline): Deadline,
    id: Result<Path<String>, PathRejection>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<TaskView>, Problem> {
    let id = parse_id(id)?;
    let Query(params) = params.map_err(|error| Problem::invalid_query(error.body_text()))?;
    let wait = params.wait.as_deref().map_or(Ok(Duration::ZERO), parse_wait)?;
    let until = deadline.min(Instant::now() + wait);
    let mut pause = FIRST_PAUSE;
    loop {
        let task = api
            .table
            .get(&tenant, id)
            .await
            .map_err(|error| Problem::unavailable(&error))?;
        let task = task.ok_or_else(Problem::task_not_found)?;
        let now = Instant::now();
        if task.status.is_final() || now >= until {
            return Ok(Json(TaskView::of(task, &api).await?));
        }
        sleep_until(until.min(now + pause)).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

fn parse_wait(given: &str) -> Result<Duration, Problem> {
    match given.parse() {
        Ok(seconds) if seconds <= MAX_WAIT => Ok(Duration::from_secs(seconds)),
        _ => Err(Problem::invalid_wait(given, MAX_WAIT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_whole_number_of_seconds_up_to_twenty() {
        assert_eq!(parse_wait("0").unwrap(), Duration::ZERO);
        assert_eq!(parse_wait("20").unwrap(), Duration::from_secs(20));
        for given in ["", "21", "-1", "1.5", "ten", "99999999999999999999"] {
            assert!(parse_wait(given).is_err(), "{given}");
        }
    }
}

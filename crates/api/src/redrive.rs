//! Redrives tasks: gives each a new generation of attempts, then sends a message for it.
//!
//! A task whose message is lost is pending all the same. The sweeper finds it and sends another message.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_backend::{BackendError, WriteOutcome};
use mesh_task::{Task, TaskId};
use tokio::time::Instant;

use crate::state::ApiState;

/// Redrives one task. The write's condition fails if the task has changed since it was read.
pub(crate) async fn redrive(api: &ApiState, task: &Task) -> Result<WriteOutcome, BackendError> {
    let outcome = write(api, task, Timestamp::now()).await?;
    if let WriteOutcome::Applied(task) = &outcome {
        let queue = api.queues.for_lane(task.lane());
        queue.send(&task.message(), Duration::ZERO).await?;
    }
    Ok(outcome)
}

/// Redrives each task that has not changed since it was read, and returns their ids. If a write fails, messages are sent
/// for the others before the error is returned: the same request again continues with the tasks that are left.
pub(crate) async fn redrive_all(
    api: &ApiState,
    tasks: &[Task],
    deadline: Instant,
) -> Result<Vec<TaskId>, BackendError> {
    let now = Timestamp::now();
    let mut redriven = Vec::new();
    let mut messages = Vec::new();
    let mut failed = None;
    // Of a written task only this is kept until all are written.
    let writes = tasks.iter().map(async |task| match write(api, task, now).await? {
        WriteOutcome::Applied(task) => Ok(Some((task.id, task.lane(), task.message()))),
        WriteOutcome::ConditionFailed(_) => Ok(None),
    });
    for written in join_all(writes).await {
        match written {
            Ok(Some((id, lane, message))) => {
                redriven.push(id);
                messages.push((lane, message));
            }
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    api.queues.send_batch(messages, deadline).await;
    failed.map_or(Ok(redriven), Err)
}

async fn write(api: &ApiState, task: &Task, now: Timestamp) -> Result<WriteOutcome, BackendError> {
    let redrive = task.redrive(api.sweep_policy.first_check_at(now), now + api.retention, now);
    api.tasks.write(&task.tenant, task.id, &redrive).await
}

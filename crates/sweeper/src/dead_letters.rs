//! The dead-letter queue holds messages only until the sweeper handles them. A message that arrives there was received three times without success: its task may be
//! final, or it was never run (its function could not start, was throttled, or died before it could claim). In the second
//! case a new message is sent.

use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::BackendError;
use mesh_task::{Message, Status, SweepAction, Task};

use crate::Sweeper;
use crate::sweep::SweepOutcome;

/// How many bytes of a message that is not a task's are logged.
const MAX_LOGGED_BYTES: usize = 1_024;

/// A message in the dead-letter queue.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    pub body: &'a str,
    /// How often it was received, as the queue counts; for the log.
    pub receive_count: &'a str,
}

impl Sweeper {
    /// Sends a new message for the task of a dead letter, unless the task is final, gone or of another generation. After
    /// that the dead letter may be deleted.
    ///
    /// # Errors
    /// When the table or the queue did not answer: the dead letter must be retained.
    pub async fn resend(&self, letter: DeadLetter<'_>) -> Result<(), BackendError> {
        let DeadLetter { body, receive_count } = letter;
        let Ok(message) = serde_json::from_str::<Message>(body) else {
            // No task is lost with it. The log is where its content can be read.
            let excerpt = &body[..body.floor_char_boundary(MAX_LOGGED_BYTES)];
            tracing::error!(
                event = "foreign_message_dropped",
                body = excerpt,
                receives = receive_count,
                "a message in the dead-letter queue is not a task's message; it is logged here and deleted"
            );
            return Ok(());
        };
        self.resend_message(&message, receive_count).await
    }

    /// Like [`resend`](Self::resend), for a message that is a task's.
    ///
    /// # Errors
    /// When the store or the queue did not answer: the dead letter must be retained.
    pub async fn resend_message(
        &self,
        message: &Message,
        receive_count: impl Display,
    ) -> Result<(), BackendError> {
        let task = self.tasks.get(&message.tenant, message.id).await?;
        let task = task.filter(|task| task.generation == message.generation);
        let status = task.as_ref().map_or("gone", |task| task.status.as_str());
        tracing::info!(
            event = "dead_letter_received",
            task_id = %message.id,
            status,
            receives = %receive_count,
            "a message came to the dead-letter queue"
        );
        match task {
            Some(task) if !task.status.is_final() => self.requeue(&task).await,
            _ => Ok(()),
        }
    }

    async fn requeue(&self, task: &Task) -> Result<(), BackendError> {
        let now = Timestamp::now();
        // The dead letter was this task's only message, so a backlog of its lane does not contain another.
        let action = match task.sweep_action(false, self.policy, now) {
            SweepAction::DeferCheck(_) if task.status == Status::Blocked => return Ok(()),
            SweepAction::DeferCheck(_) => return self.send(task, delay(task, now)).await,
            action => action,
        };
        match self.sweep(task, action, now).await? {
            SweepOutcome::Requeue(_) | SweepOutcome::Reclaimed(_) => self.send(task, Duration::ZERO).await,
            SweepOutcome::Deferred | SweepOutcome::Failed => Ok(()),
        }
    }

    async fn send(&self, task: &Task, delay: Duration) -> Result<(), BackendError> {
        self.queues
            .for_lane(task.lane())
            .send(&task.message(), delay)
            .await
    }
}

/// The time until a task's next attempt may start, or until its worker's lease expires.
fn delay(task: &Task, now: Timestamp) -> Duration {
    let until = task.next_attempt_at.or(task.lease_until);
    until
        .and_then(|until| Duration::try_from(until.duration_since(now)).ok())
        .unwrap_or_default()
}

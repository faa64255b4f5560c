//! The dead-letter queue is transit. What comes there was received three times in vain: its task may be at its end, or
//! it was never run (its function could not start, was throttled, or died before it could claim), and then it is sent again.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsMessage};
use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_cloud::CloudError;
use mesh_task::{Message, Status, Task, Tending};

use crate::Janitor;
use crate::tend::Tended;

/// How much of a message that is none of ours goes to the log.
const MAX_LOGGED: usize = 1_024;

impl Janitor {
    /// Sends again, or lets go, each message; those that could be neither are kept for another time.
    pub(crate) async fn resend_all(&self, records: Vec<SqsMessage>) -> SqsBatchResponse {
        let kept = join_all(records.iter().map(|record| self.resend(record))).await;
        let mut response = SqsBatchResponse::default();
        for (record, kept) in records.into_iter().zip(kept) {
            if let Err(error) = kept {
                tracing::error!(%error, "a dead letter's message is kept");
                response.add_failure(record.message_id.unwrap_or_default());
            }
        }
        response
    }

    async fn resend(&self, record: &SqsMessage) -> Result<(), CloudError> {
        let body = record.body.as_deref().unwrap_or_default();
        let receives = record
            .attributes
            .get("ApproximateReceiveCount")
            .map_or("", String::as_str);
        let Ok(message) = serde_json::from_str::<Message>(body) else {
            // Nothing of ours is lost with it. The log is where it is set aside.
            let shown = &body[..body.floor_char_boundary(MAX_LOGGED)];
            tracing::error!(
                body = shown,
                receives,
                "a message is not a task's; it is set aside here"
            );
            return Ok(());
        };
        let task = self.table.get(&message.tenant, message.id).await?;
        let task = task.filter(|task| task.generation == message.generation);
        let status = task.as_ref().map_or("gone", |task| task.status.as_str());
        tracing::info!(task_id = %message.id, status, receives, "a message came to the dead-letter queue");
        match task {
            Some(task) if !task.status.is_final() => self.ring_again(&task).await,
            _ => Ok(()),
        }
    }

    async fn ring_again(&self, task: &Task) -> Result<(), CloudError> {
        let now = Timestamp::now();
        // It has no message but this one, so its lane's backlog says nothing of it.
        let tending = match task.tending(false, self.patience, now) {
            Tending::PutOff(_) if task.status == Status::Blocked => return Ok(()),
            Tending::PutOff(_) => return self.send(task, self.wait(task, now)).await,
            tending => tending,
        };
        match self.tend(task, tending, now).await? {
            Tended::Ring(_) | Tended::TakenBack(_) => self.send(task, Duration::ZERO).await,
            Tended::Quietly | Tended::Exhausted => Ok(()),
        }
    }

    /// How long a task rests, or its worker's lease lasts.
    fn wait(&self, task: &Task, now: Timestamp) -> Duration {
        let until = task.next_attempt_at.or(task.lease_until);
        until
            .and_then(|until| Duration::try_from(until.duration_since(now)).ok())
            .unwrap_or_default()
    }

    async fn send(&self, task: &Task, delay: Duration) -> Result<(), CloudError> {
        self.queues.of(task.lane()).send(&task.message(), delay).await
    }
}

//! A received message, and what becomes of it.
//!
//! A queue delivers a message again unless the worker deletes it. After its last receive it goes to the dead-letter queue.

use std::sync::Arc;
use std::time::Duration;

use mesh_backend::{MAX_DELAY, TaskQueue};
use mesh_task::{FailureKind, Message, Settlement, Task};
use mesh_telemetry::Trace;
use tracing::Span;

use crate::{Runner, Worker};

/// One receive of a message.
#[derive(Debug)]
pub struct Delivery {
    /// The message's body: the task that may be ready.
    pub message: Message,
    /// The name of the message in the batch's response.
    pub message_id: String,
    /// The queue that delivered the message.
    pub queue: Arc<dyn TaskQueue>,
    /// The queue's name for this receive. Changing the visibility timeout requires it.
    pub receipt_handle: String,
    /// How often the message was received, this time included.
    pub receives: u32,
    /// The trace of the sender; `None` if the message has no valid trace header.
    pub trace: Option<Trace>,
    /// The span of every log line about the task.
    pub span: Span,
}

impl Delivery {
    /// Adds the attempt and the correlation id to the log lines of the task.
    pub(crate) fn record(&self, task: &Task) {
        self.span.record("attempt", task.attempt);
        self.span.record("correlation_id", &*task.correlation_id);
    }
}

/// A message that does not name a task. It is retained, so that its queue moves it to the dead-letter queue.
#[derive(Debug)]
pub struct ForeignMessage {
    pub message_id: String,
    pub queue: Arc<dyn TaskQueue>,
    pub receipt_handle: Option<String>,
}

/// A parsed batch.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// The number of messages, with duplicates and foreign ones.
    pub received: usize,
    /// One delivery for each task.
    pub deliveries: Vec<Delivery>,
    pub foreign: Vec<ForeignMessage>,
}

/// What becomes of a message when the batch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// The queue deletes it: nothing is left to do for its task.
    Delete,
    /// The queue delivers it again after its visibility timeout, or moves it to the dead-letter queue.
    Retain,
}

impl Disposition {
    /// For a message whose task is no longer this worker's, as the table returned the task. The newer claim of a task that
    /// is not final may depend on this message, except in a later generation, which has a message of its own.
    pub(crate) fn after_lost_claim(claimed: &Task, newest: Option<&Task>) -> Self {
        match newest {
            Some(task) if !task.status.is_final() && task.generation == claimed.generation => Self::Retain,
            _ => Self::Delete,
        }
    }
}

impl<R: Runner> Worker<R> {
    /// For a message whose task's end was just written.
    pub(crate) async fn acknowledge(&self, delivery: &Delivery, settlement: &Settlement) -> Disposition {
        match settlement {
            Settlement::Retry { delay, .. } if *delay <= MAX_DELAY => self.release(delivery, *delay).await,
            Settlement::Failed { failure, .. } if failure.kind != FailureKind::Permanent => {
                self.dead_letter(delivery).await
            }
            // The sweeper sends a message after a longer delay.
            Settlement::Retry { .. } | Settlement::Completed(_) | Settlement::Failed { .. } => {
                Disposition::Delete
            }
        }
    }

    /// Lets the message be delivered again after a delay.
    ///
    /// The last receive is not spent on waiting, because SQS would then move the message to the dead-letter queue. A new
    /// message replaces it.
    pub(crate) async fn release(&self, delivery: &Delivery, delay: Duration) -> Disposition {
        if delivery.receives < self.max_receives {
            change_visibility(&*delivery.queue, &delivery.receipt_handle, delay).await;
            return Disposition::Retain;
        }
        let trace = delivery.trace.as_ref();
        match delivery.queue.send_traced(&delivery.message, delay, trace).await {
            Ok(()) => Disposition::Delete,
            Err(error) => {
                tracing::error!(
                    event = "message_not_replaced",
                    %error,
                    "no new message could be sent: the old one is retained"
                );
                Disposition::Retain
            }
        }
    }

    /// For the message of a task that is now a dead letter. On its last receive it becomes visible at once, so that SQS moves
    /// it to the dead-letter queue, which alarms watch.
    pub(crate) async fn dead_letter(&self, delivery: &Delivery) -> Disposition {
        if delivery.receives < self.max_receives {
            return Disposition::Delete;
        }
        change_visibility(&*delivery.queue, &delivery.receipt_handle, Duration::ZERO).await;
        Disposition::Retain
    }
}

/// Hides a message for this long. On failure it stays hidden for the queue's own visibility timeout.
pub(crate) async fn change_visibility(queue: &dyn TaskQueue, receipt_handle: &str, delay: Duration) {
    if let Err(error) = queue.change_visibility(receipt_handle, delay).await {
        tracing::warn!(
            event = "visibility_not_changed",
            %error,
            "the message retains its visibility timeout"
        );
    }
}

#[cfg(test)]
mod tests {
    use mesh_task::{Status, testing};

    use super::*;

    #[test]
    fn a_message_is_retained_only_for_a_newer_claim_in_its_own_generation() {
        let claimed = testing::task();
        let newest = |status, generation| {
            let task = Task {
                status,
                generation,
                ..claimed.clone()
            };
            Disposition::after_lost_claim(&claimed, Some(&task))
        };
        let generation = claimed.generation;
        assert_eq!(newest(Status::Processing, generation), Disposition::Retain);
        assert_eq!(newest(Status::Pending, generation), Disposition::Retain);
        assert_eq!(newest(Status::Completed, generation), Disposition::Delete);
        // A retry sent a message of its own.
        assert_eq!(newest(Status::Pending, generation + 1), Disposition::Delete);
        assert_eq!(newest(Status::Processing, generation + 1), Disposition::Delete);
        assert_eq!(Disposition::after_lost_claim(&claimed, None), Disposition::Delete);
    }
}

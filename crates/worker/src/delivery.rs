//! The messages of a batch, read.

use std::collections::HashSet;

use aws_lambda_events::event::sqs::SqsMessage;
use mesh_task::{Message, Task};
use mesh_telemetry::{Trace, task_span};
use tracing::Span;

/// One delivery of a message.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The task it rings for.
    pub(crate) message: Message,
    /// What the batch's answer names it by.
    pub(crate) message_id: String,
    /// The name of the queue that it came from.
    pub(crate) queue: String,
    /// What the queue names this delivery by.
    pub(crate) receipt_handle: String,
    /// How often it was delivered, this time included.
    pub(crate) receives: u32,
    /// The trace that it is a part of: its sender's.
    pub(crate) trace: Option<Trace>,
    /// What is logged of its task is logged in it.
    pub(crate) span: Span,
}

impl Delivery {
    /// Has the log name the attempt too.
    pub(crate) fn record(&self, task: &Task) {
        self.span.record("attempt", task.attempt);
        self.span.record("correlation_id", &*task.correlation_id);
    }
}

/// What the queue is told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing is left to do for it: delete it.
    Done,
    /// Keep it: it is delivered again, or moved to the dead-letter queue.
    Keep,
}

/// A message that rings for no task.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) message_id: String,
    pub(crate) queue: String,
    pub(crate) receipt_handle: Option<String>,
}

/// A batch's messages, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// One for each task.
    pub(crate) deliveries: Vec<Delivery>,
    /// Messages that are none of ours. They are kept, so that SQS sets them aside in the dead-letter queue.
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Deliveries {
    /// Reads a batch. Of several messages for one task the first is taken, and the others are done with: the first is
    /// still there should this batch come to nothing.
    pub(crate) fn read(records: Vec<SqsMessage>) -> Self {
        let mut read = Self::default();
        let mut seen = HashSet::new();
        for record in records {
            let message_id = record.message_id.unwrap_or_default();
            let queue = record.event_source_arn.unwrap_or_default();
            let queue = queue.rsplit(':').next().unwrap_or_default().to_owned();
            let message = record.body.as_deref().map(serde_json::from_str::<Message>);
            let (message, receipt_handle) = match (message, record.receipt_handle) {
                (Some(Ok(message)), Some(receipt_handle)) => (message, receipt_handle),
                (_, receipt_handle) => {
                    tracing::error!(
                        message_id,
                        "a message is not a task's; it goes to the dead-letter queue"
                    );
                    read.unreadable.push(Unreadable {
                        message_id,
                        queue,
                        receipt_handle,
                    });
                    continue;
                }
            };
            let receives = record
                .attributes
                .get("ApproximateReceiveCount")
                .and_then(|count| count.parse().ok());
            if seen.insert(message.clone()) {
                let receives = receives.unwrap_or(1);
                let trace = record.attributes.get("AWSTraceHeader");
                let trace = trace.and_then(|header| Trace::parse(header));
                let span = task_span(&message, trace.as_ref());
                read.deliveries.push(Delivery {
                    message,
                    message_id,
                    queue,
                    receipt_handle,
                    receives,
                    trace,
                    span,
                });
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use mesh_task::{TaskId, Tenant};

    use super::*;

    const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

    fn record(id: &str, body: &str) -> SqsMessage {
        let mut record = SqsMessage::default();
        record.message_id = Some(id.to_owned());
        record.receipt_handle = Some(format!("receipt of {id}"));
        record.body = Some(body.to_owned());
        record
            .attributes
            .insert("ApproximateReceiveCount".to_owned(), "2".to_owned());
        record
            .attributes
            .insert("AWSTraceHeader".to_owned(), TRACE.to_owned());
        record
    }

    #[test]
    fn a_doubled_message_rings_once_and_a_strange_one_is_kept() {
        let message = Message {
            tenant: Tenant::first(),
            id: TaskId::generate(),
            generation: 1,
        };
        let body = serde_json::to_string(&message).unwrap();
        let strange = [r#"{"id":"x"}"#, "", "null"].map(|body| record("strange", body));
        let mut records = vec![record("first", &body), record("double", &body)];
        records.extend(strange);
        let read = Deliveries::read(records);
        let unreadable: Vec<_> = read
            .unreadable
            .iter()
            .map(|message| message.message_id.as_str())
            .collect();
        assert_eq!(unreadable, ["strange", "strange", "strange"]);
        let [delivery] = &read.deliveries[..] else {
            panic!("one task, one delivery: {read:?}")
        };
        assert_eq!((delivery.message_id.as_str(), delivery.receives), ("first", 2));
        assert_eq!(delivery.message, message);
        assert_eq!(delivery.trace, Trace::parse(TRACE));
    }
}

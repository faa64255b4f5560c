//! The host of a worker on AWS: Lambda, which receives messages from SQS.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use mesh_aws::{Payloads, TaskTable, WorkerQueues};
use mesh_backend::{PayloadStore, TaskStore};
use mesh_task::Message;
use mesh_telemetry::{Trace, setting, task_span};

use mesh_worker::{Deliveries, Delivery, ForeignMessage, Invocation, Runner, Worker};

/// Runs a worker function until its environment ends. `load` creates the runner while the worker connects to AWS. `binary` is
/// the crate name of the function, whose log lines are written (`env!("CARGO_CRATE_NAME")`).
///
/// # Errors
/// When a setting is missing or the runner cannot be loaded. The environment cannot run tasks then.
pub async fn run<R, E>(
    binary: &str,
    load: impl FnOnce() -> Result<R, E> + Send + 'static,
) -> Result<(), Error>
where
    R: Runner,
    E: std::error::Error + Send + Sync + 'static,
{
    mesh_telemetry::init_logging(binary);
    let loading = tokio::task::spawn_blocking(load);
    let config = mesh_aws::sdk_config().await?;
    let table = TaskTable::new(&config, setting("TASKS_TABLE")?);
    let queues = WorkerQueues::from_settings(&config)?;
    let payloads = Payloads::new(&config, setting("PAYLOAD_BUCKET")?);
    let policies = mesh_telemetry::retry_policies()?;
    let lease = Duration::from_secs(setting("LEASE_SECONDS")?);
    let max_receives = setting("MAX_RECEIVES")?;
    let warm_payloads = async {
        if R::READS_OBJECTS {
            payloads.warm().await;
        }
    };
    tokio::join!(table.warm(), queues.warm(), warm_payloads);
    let runner = loading.await??;
    #[cfg(feature = "faults")]
    let runner = mesh_worker::Faulty::new(runner);
    let worker = Worker {
        tasks: Arc::new(table),
        payloads: Arc::new(payloads),
        policies,
        lease,
        max_receives,
        batch_metrics: Arc::default(),
        runner: Arc::new(runner),
    };
    let (worker, queues) = (&worker, &queues);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        mesh_telemetry::begin_invocation(&event.context.request_id);
        let invocation = Invocation::until(event.context.deadline());
        let handled = worker
            .handle(parse(event.payload.records, queues), invocation)
            .await;
        worker.batch_metrics.emit();
        if handled.must_exit {
            // Nothing may run on into the next invocation. SQS delivers the messages again, and their claims find out that
            // the ends are written.
            std::process::exit(1);
        }
        let mut response = SqsBatchResponse::default();
        for message_id in handled.retained {
            response.add_failure(message_id);
        }
        Ok::<_, Error>(response)
    }))
    .await
}

/// Parses a batch. Of several messages for one task, only the first is delivered. The others are deleted with the batch: the
/// first one is still in the queue if this batch fails.
fn parse(records: Vec<SqsMessage>, queues: &WorkerQueues) -> Deliveries {
    let mut parsed = Deliveries {
        received: records.len(),
        ..Deliveries::default()
    };
    let mut seen = HashSet::new();
    for record in records {
        let message_id = record.message_id.unwrap_or_default();
        let queue = record.event_source_arn.unwrap_or_default();
        let queue = queues.named(queue.rsplit(':').next().unwrap_or_default());
        let message = record.body.as_deref().map(serde_json::from_str::<Message>);
        let (message, receipt_handle) = match (message, record.receipt_handle) {
            (Some(Ok(message)), Some(receipt_handle)) => (message, receipt_handle),
            (_, receipt_handle) => {
                tracing::error!(
                    event = "foreign_message_retained",
                    message_id,
                    "the message does not name a task: SQS moves it to the dead-letter queue"
                );
                parsed.foreign.push(ForeignMessage {
                    message_id,
                    queue,
                    receipt_handle,
                });
                continue;
            }
        };
        if !seen.insert(message.clone()) {
            continue;
        }
        let receives = record.attributes.get("ApproximateReceiveCount");
        let trace = record.attributes.get("AWSTraceHeader");
        let trace = trace.and_then(|header| Trace::parse(header));
        parsed.deliveries.push(Delivery {
            span: task_span(&message, trace.as_ref()),
            message,
            message_id,
            queue,
            receipt_handle,
            receives: receives.and_then(|count| count.parse().ok()).unwrap_or(1),
            trace,
        });
    }
    parsed
}

#[cfg(test)]
mod tests {
    use mesh_aws::testing::config;
    use mesh_task::testing;
    use wiremock::MockServer;

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

    #[tokio::test]
    async fn a_duplicate_is_dropped_and_a_foreign_message_is_retained() {
        let server = MockServer::start().await;
        let queues = WorkerQueues::single(&config(&server), "https://queues/first".to_owned());
        let message = testing::task().message();
        let body = serde_json::to_string(&message).unwrap();
        let foreign = [r#"{"id":"x"}"#, "", "null"].map(|body| record("foreign", body));
        let mut records = vec![record("first", &body), record("duplicate", &body)];
        records.extend(foreign);
        let parsed = parse(records, &queues);
        assert_eq!(parsed.received, 5);
        let foreign: Vec<_> = parsed
            .foreign
            .iter()
            .map(|message| message.message_id.as_str())
            .collect();
        assert_eq!(foreign, ["foreign", "foreign", "foreign"]);
        let [delivery] = &parsed.deliveries[..] else {
            panic!("one task has one delivery: {parsed:?}")
        };
        assert_eq!((delivery.message_id.as_str(), delivery.receives), ("first", 2));
        assert_eq!((&delivery.message, delivery.queue.name()), (&message, "first"));
        assert_eq!(delivery.trace, Trace::parse(TRACE));
    }
}

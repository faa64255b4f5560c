//! The sweeper function: a scheduled event sweeps the tasks that are due, a batch of the dead-letter queue is resent.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::join_all;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use mesh_aws::{TaskTable, queues_from_settings};
use mesh_sweeper::{DeadLetter, Sweeper};
use mesh_telemetry::{EmfRecord, Metric, begin_invocation, init_logging, log_failure, setting, sweep_policy};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The part of its invocation that a run leaves for its last writes and the response.
const RESPONSE_MARGIN: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    init_logging(env!("CARGO_CRATE_NAME"));
    let config = mesh_aws::sdk_config().await?;
    let sweeper = &Sweeper {
        tasks: Arc::new(TaskTable::new(&config, setting("TASKS_TABLE")?)),
        queues: queues_from_settings(&config)?,
        policy: sweep_policy()?,
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        begin_invocation(&event.context.request_id);
        log_failure(handle(sweeper, event).await)
    }))
    .await
}

/// A batch of the dead-letter queue answers which messages to retain, a scheduled run what it did.
async fn handle(sweeper: &Sweeper, event: LambdaEvent<Value>) -> Result<Value, Error> {
    if event.payload.get("Records").is_some() {
        let batch: SqsEvent = serde_json::from_value(event.payload)?;
        return Ok(serde_json::to_value(resend_all(sweeper, batch.records).await)?);
    }
    let left = event.context.deadline().duration_since(SystemTime::now());
    let until = Instant::now() + left.unwrap_or_default().saturating_sub(RESPONSE_MARGIN);
    let report = sweeper.sweep_overdue(until).await;
    tracing::info!(
        event = "sweep_ended",
        seen = report.seen,
        requeued = report.requeued,
        reclaimed = report.reclaimed,
        exhausted = report.exhausted,
        is_complete = report.is_complete,
        "the due tasks were swept"
    );
    if let Some(error) = report.error {
        return Err(error.into());
    }
    EmfRecord::default()
        .with(Metric::JanitorRuns, 1)
        .with_nonzero(Metric::OverdueTasks, report.seen as u64)
        .with_nonzero(Metric::TasksRequeued, (report.requeued + report.reclaimed) as u64)
        .write();
    Ok(json!({
        "seen": report.seen, "requeued": report.requeued, "reclaimed": report.reclaimed,
        "exhausted": report.exhausted,
    }))
}

/// Resends each message; those that could not be resent are retained.
async fn resend_all(sweeper: &Sweeper, records: Vec<SqsMessage>) -> SqsBatchResponse {
    let resent = join_all(records.iter().map(|record| {
        let receive_count = record.attributes.get("ApproximateReceiveCount");
        sweeper.resend(DeadLetter {
            body: record.body.as_deref().unwrap_or_default(),
            receive_count: receive_count.map_or("", String::as_str),
        })
    }))
    .await;
    let mut response = SqsBatchResponse::default();
    for (record, resent) in records.into_iter().zip(resent) {
        if let Err(error) = resent {
            tracing::error!(event = "dead_letter_retained", %error, "a dead letter could not be resent; it is retained");
            response.add_failure(record.message_id.unwrap_or_default());
        }
    }
    response
}

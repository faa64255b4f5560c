//! The reactor function: a batch of the task table's stream is followed, `{"rebuild": true}` counts the table again.

mod invocation;
mod rebuild;
mod stream;

use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use mesh_aws::{StatsTable, TaskTable};
use mesh_reactor::EmfMetrics;
use mesh_telemetry::{begin_invocation, init_logging, log_failure, redact, setting};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::invocation::Invocation;
use crate::rebuild::Tables;

/// The part of its invocation that a rebuild leaves for the response.
const RESPONSE_MARGIN: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    init_logging(env!("CARGO_CRATE_NAME"));
    let config = mesh_aws::sdk_config().await?;
    let tables = &Tables {
        tasks: TaskTable::new(&config, setting("TASKS_TABLE")?),
        stats: StatsTable::new(&config, setting("STATS_TABLE")?),
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Invocation>| {
        begin_invocation(&event.context.request_id);
        log_failure(handle(tables, event).await)
    }))
    .await
}

/// A batch of the stream fails as a whole, and Lambda repeats it; a rebuild answers what it counted.
async fn handle(tables: &Tables, event: LambdaEvent<Invocation>) -> Result<Value, Error> {
    match event.payload {
        Invocation::Stream(batch) => {
            let records = batch.records.len();
            mesh_reactor::follow(&tables.stats, &EmfMetrics, batch.into_records()).await?;
            return Ok(json!({ "records": records }));
        }
        Invocation::Rebuild => {}
        Invocation::Unknown(error) => {
            let why = redact(&error);
            return Err(format!(
                r#"unknown event ({why}): send {{"rebuild": true}} or a batch of the task table's stream"#
            )
            .into());
        }
    }
    let left = event.context.deadline().duration_since(SystemTime::now());
    let until = Instant::now() + left.unwrap_or_default().saturating_sub(RESPONSE_MARGIN);
    let rebuilt = tables.rebuild(until).await?;
    Ok(json!({ "tenants": rebuilt.tenants, "tasks": rebuilt.tasks, "unseen": rebuilt.unseen }))
}

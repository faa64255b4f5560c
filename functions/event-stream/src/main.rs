//! Server-sent events as a function of its own, behind a Function URL, because an HTTP API can't stream.

use std::sync::Arc;

use mesh_aws::{StatsTable, TaskTable};
use mesh_event_stream::{Events, router};
use mesh_lambda_http::Error;
use mesh_telemetry::setting;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_telemetry::init_logging(env!("CARGO_CRATE_NAME"));
    let config = mesh_aws::sdk_config().await?;
    let events = Events {
        tasks: Arc::new(TaskTable::new(&config, setting("TASKS_TABLE")?)),
        counters: Arc::new(StatsTable::new(&config, setting("STATS_TABLE")?)),
        token: setting("TOKEN_SHA256")?,
    };
    events.tasks.warm().await;
    mesh_lambda_http::run_streaming(router(events)).await
}

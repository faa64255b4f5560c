//! Follows the task table's stream, and keeps what is known of the tasks as a whole: the counters and the change log
//! ([`follow`]). Asked to, it counts the table anew ([`rebuild`]).

mod follow;
mod measure;
mod rebuild;
mod stream;

use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use mesh_cloud::{StatsTable, TaskTable, setting};
use serde_json::{Value, json};
use tokio::time::Instant;

/// What a rebuild leaves of its invocation, to answer in.
const ANSWER_MARGIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Reactor {
    tasks: TaskTable,
    stats: StatsTable,
}

impl Reactor {
    /// A batch of the stream fails as a whole, and is repeated; a rebuild answers what it counted.
    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        if event.payload.get("Records").is_some() {
            let batch: stream::Batch = serde_json::from_value(event.payload)?;
            self.follow(&batch).await?;
            return Ok(json!({ "records": batch.records.len() }));
        }
        if event.payload != json!({ "rebuild": true }) {
            return Err(r#"send {"rebuild": true}, or a batch of the task table's stream"#.into());
        }
        let left = event.context.deadline().duration_since(SystemTime::now());
        let until = Instant::now() + left.unwrap_or_default().saturating_sub(ANSWER_MARGIN);
        let done = self.rebuild(until).await?;
        tracing::info!(
            tenants = done.tenants,
            tasks = done.tasks,
            unseen = done.unseen,
            "the counters are rebuilt"
        );
        Ok(json!({ "tenants": done.tenants, "tasks": done.tasks, "unseen": done.unseen }))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_cloud::init_logging();
    let config = mesh_cloud::sdk_config().await?;
    let reactor = Reactor {
        tasks: TaskTable::new(&config, setting("TASKS_TABLE")?),
        stats: StatsTable::new(&config, setting("STATS_TABLE")?),
    };
    let reactor = &reactor;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        mesh_cloud::begin(&event.context.request_id);
        mesh_cloud::logged(reactor.handle(event).await)
    }))
    .await
}

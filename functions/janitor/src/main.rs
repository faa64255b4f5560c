//! Mends what time alone must mend. On a schedule it looks at the tasks that are in flight for long ([`overdue`]); from
//! the dead-letter queue it sends again the messages whose tasks are not at their end ([`dead`]).

mod dead;
mod overdue;
mod tend;

use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use mesh_cloud::{Measured, Metric, Queues, TaskTable, setting};
use mesh_task::Patience;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What a run leaves of its invocation, to write the last changes and answer in.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Janitor {
    table: TaskTable,
    queues: Queues,
    patience: Patience,
}

impl Janitor {
    /// A batch of dead letters' messages answers which of them to keep, a scheduled run what it did.
    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        if event.payload.get("Records").is_some() {
            let messages: SqsEvent = serde_json::from_value(event.payload)?;
            return Ok(serde_json::to_value(self.resend_all(messages.records).await)?);
        }
        let left = event.context.deadline().duration_since(SystemTime::now());
        let until = Instant::now() + left.unwrap_or_default().saturating_sub(ANSWER_MARGIN);
        let done = self.tend_overdue(until).await;
        tracing::info!(
            seen = done.seen,
            rung = done.rung,
            taken_back = done.taken_back,
            exhausted = done.exhausted,
            is_whole = done.is_whole,
            "overdue tasks are tended"
        );
        if let Some(error) = done.failure {
            return Err(error.into());
        }
        Measured::default()
            .with(Metric::JanitorRuns, 1)
            .with_any(Metric::OverdueTasks, done.seen as u64)
            .with_any(Metric::TasksRung, (done.rung + done.taken_back) as u64)
            .write();
        Ok(json!({
            "seen": done.seen, "rung": done.rung, "taken_back": done.taken_back, "exhausted": done.exhausted,
        }))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_cloud::init_logging();
    let config = mesh_cloud::sdk_config().await?;
    let janitor = Janitor {
        table: TaskTable::new(&config, setting("TASKS_TABLE")?),
        queues: Queues::from_settings(&config)?,
        patience: mesh_cloud::patience()?,
    };
    let janitor = &janitor;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        mesh_cloud::begin(&event.context.request_id);
        mesh_cloud::logged(janitor.handle(event).await)
    }))
    .await
}

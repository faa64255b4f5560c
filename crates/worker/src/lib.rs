//! The loop that every worker shares: claim, deadline, run, finish, retry.
//!
//! A worker function is its [`Runner`] and a call to [`run`]. What always holds, whatever the runner does:
//! a task runs only under a claim, and its end is written only while that claim is the newest; one bad input fails
//! its own task alone; a message is acknowledged only when nothing is left to do for its task.

mod batch;
mod batch_metrics;
mod delivery;
#[cfg(feature = "faults")]
mod faults;
mod input;
mod invocation;
#[cfg(feature = "onnx")]
pub mod onnx;
mod run;
mod settle;
mod stop;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use mesh_aws::{Payloads, TaskTable, WorkerQueues};
use mesh_task::{Input, RetryPolicies, RunError, RunOutput, Task};
use mesh_telemetry::setting;

use batch_metrics::BatchMetrics;
pub use invocation::Invocation;
pub use stop::Stop;

/// A claimed task with its input.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task, as claimed.
    pub task: Task,
    /// What it is asked of.
    pub input: Arc<Input>,
}

/// What a worker does with its tasks.
pub trait Runner: Send + Sync + 'static {
    /// Whether most of its inputs are objects in the payload bucket. Where few are, the S3 client is made when the first
    /// one comes: making it costs a cold start tens of milliseconds.
    const READS_OBJECTS: bool;

    /// Runs the jobs as one, on a thread that may block, and answers for each, in order. When `stop` is triggered
    /// what still runs must end at once, with [`RunError::timeout`]. A panic is contained: the jobs are then run
    /// one by one, and the one that panics again fails.
    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>>;
}

/// A worker function's resources.
#[derive(Debug)]
pub struct Worker<R> {
    table: TaskTable,
    queues: WorkerQueues,
    payloads: Payloads,
    policies: RetryPolicies,
    /// How long a claim holds. A task that runs for longer has it renewed.
    lease: Duration,
    /// After this many receives SQS moves a message to the dead-letter queue instead of delivering it again.
    max_receives: u32,
    batch_metrics: BatchMetrics,
    runner: Arc<R>,
}

/// Where the function's library and models lie: `AI_MESH_ASSETS`, else the folder that Lambda unpacked the function to,
/// else its executable's.
#[must_use]
pub fn assets() -> PathBuf {
    let named = std::env::var_os("AI_MESH_ASSETS")
        .or_else(|| std::env::var_os("LAMBDA_TASK_ROOT"))
        .map(PathBuf::from);
    named
        .or_else(|| Some(std::env::current_exe().ok()?.parent()?.to_owned()))
        .unwrap_or_default()
}

/// Runs a worker function until its environment ends. `load` makes the runner while the connections to AWS are made;
/// `binary` is the crate name of the function, whose lines are logged (`env!("CARGO_CRATE_NAME")`).
///
/// # Errors
/// When a setting is missing or the runner can't be loaded: the environment is of no use then.
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
    let runner = faults::Faulty::new(runner);
    let worker = Worker {
        table,
        queues,
        payloads,
        policies,
        lease,
        max_receives,
        batch_metrics: BatchMetrics::default(),
        runner: Arc::new(runner),
    };
    let worker = &worker;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        mesh_telemetry::begin_invocation(&event.context.request_id);
        let invocation = Invocation::until(event.context.deadline());
        let response = worker.handle(event.payload.records, invocation).await;
        worker.batch_metrics.emit();
        Ok::<_, Error>(response)
    }))
    .await
}

//! The loop that every worker shares.
//!
//! A worker receives messages, claims their tasks, runs them and writes how they ended. Its host gives it the messages
//! ([`Worker::handle`]); what it does with a task is its [`Runner`]'s. Whatever the runner does:
//!
//! - A task runs only under a claim, and its end is written only while that claim is the newest.
//! - An input that fails, panics, crashes the process or runs for too long spends its own task's attempts, not its neighbors'.
//! - A message is deleted only when nothing is left to do for its task.
//!
//! Read the files in this order:
//!
//! ```text
//! lib.rs            what a worker is: Runner, Job, Worker
//! batch.rs          one batch: claim all, run all, settle all; quarantined tasks last and isolated
//! delivery.rs       a received message, and what becomes of it: delete, release, dead-letter
//! claim.rs          claims a task, renews its lease, fails it when no attempt is left
//! input.rs          reads a claimed task's input
//! run.rs            one run on a blocking thread: deadline, renewals, panics
//! settle.rs         an attempt's outcome: stores the result, writes the transition, answers for the message
//! invocation.rs     how long an invocation may work; stop.rs ends a run early
//! batch_metrics.rs  what one batch counted
//! onnx.rs           what the workers with bundled models share
//! faults.rs         errors that tests inject
//! ```

mod batch;
mod batch_metrics;
mod claim;
mod delivery;
#[cfg(feature = "faults")]
pub mod faults;
mod input;
mod invocation;
#[cfg(feature = "onnx")]
pub mod onnx;
mod run;
mod settle;
mod stop;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use mesh_backend::{PayloadStore, TaskStore};
use mesh_task::{Input, RetryPolicies, RunError, RunOutput, Task};

pub use batch::Handled;
pub use batch_metrics::{BatchCounts, BatchMetrics};
pub use delivery::{Deliveries, Delivery, ForeignMessage};
#[cfg(feature = "faults")]
pub use faults::Faulty;
pub use invocation::Invocation;
pub use run::run_catching_panics;
pub use stop::Stop;

/// A claimed task with its input.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task as the claim returned it.
    pub task: Task,
    pub input: Arc<Input>,
}

/// What a worker does with its tasks: the part that differs from worker to worker.
pub trait Runner: Send + Sync + 'static {
    /// Whether most inputs are objects in the payload bucket. If not, the S3 client connects only for the first object:
    /// connecting costs a cold start tens of milliseconds.
    const READS_OBJECTS: bool;

    /// Makes the runner ready, before the time of the jobs begins: what it takes is not theirs.
    ///
    /// # Errors
    /// The outcome of the jobs, when they can't be run now.
    fn prepare(&self) -> impl Future<Output = Result<(), RunError>> + Send {
        ready(Ok(()))
    }

    /// Runs the jobs as one batch, on a thread that may block, and returns an outcome for each, in order.
    ///
    /// When `stop` is triggered, jobs that still run must end at once with [`RunError::timeout`]. Jobs that panic or fail
    /// together are run again one by one, and only a job that fails by itself fails.
    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>>;

    /// Whether the worker renews the lease of a running task. Injected faults may prevent it.
    #[doc(hidden)]
    fn renews_lease(&self, _task: &Task) -> bool {
        true
    }

    /// Wraps the write of an attempt's end. Injected faults may make its calls to AWS fail.
    #[doc(hidden)]
    fn wrap_settle<F: Future + Send>(
        &self,
        _task: &Task,
        settle: F,
    ) -> impl Future<Output = F::Output> + Send {
        settle
    }
}

/// A worker's resources. Its methods are in the files that the head of this one lists.
#[derive(Debug)]
pub struct Worker<R> {
    pub tasks: Arc<dyn TaskStore>,
    pub payloads: Arc<dyn PayloadStore>,
    pub policies: RetryPolicies,
    /// How long a claim holds. A task that runs for longer has it renewed.
    pub lease: Duration,
    /// After this many receives the queue moves a message to the dead-letter queue instead of delivering it again.
    pub max_receives: u32,
    /// What the batches count. Workers may share it.
    pub batch_metrics: Arc<BatchMetrics>,
    pub runner: Arc<R>,
}

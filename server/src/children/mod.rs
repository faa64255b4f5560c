//! The processes that run models: one for each worker slot, started when the slot has its first task and ended when it has had
//! none for a while.
//!
//! A child is this program again, with a model instead of the API. It reads jobs from a socket and answers their outcomes; it
//! has no access to the data folder. So a model that crashes, hangs or grows costs its own batch a new child, and nobody else
//! anything.
//!
//! ```text
//! mod.rs    the server's side: ChildRunner, a worker's runner
//! child.rs  one child process: start, exchange, end
//! frame.rs  what both exchange
//! serve.rs  the child's side
//! ```

mod child;
mod frame;
mod serve;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "faults")]
use mesh_task::Task;
use mesh_task::{RunError, RunOutput, WorkerKind};
use mesh_worker::{Job, Runner, Stop};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use self::child::{Child, Exchange};
use crate::metrics::ServerMetrics;
use crate::settings::Settings;

pub(crate) use self::serve::serve;

/// Runs a slot's tasks in a child process.
#[derive(Debug)]
pub(crate) struct ChildRunner {
    worker_kind: WorkerKind,
    settings: Settings,
    metrics: Arc<ServerMetrics>,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
struct Slot {
    child: Option<Child>,
    used: Instant,
}

impl ChildRunner {
    pub(crate) fn new(worker_kind: WorkerKind, settings: Settings, metrics: Arc<ServerMetrics>) -> Self {
        Self {
            worker_kind,
            settings,
            metrics,
            slot: Mutex::new(Slot {
                child: None,
                used: Instant::now(),
            }),
        }
    }

    /// Ends a child that had no task for a while.
    pub(crate) async fn end_if_idle(&self) {
        let mut slot = self.slot.lock().await;
        if slot.used.elapsed() >= Duration::from_secs(self.settings.model_idle_seconds.into())
            && let Some(child) = slot.child.take()
        {
            child.end().await;
        }
    }

    /// The slot's child, which is started if there is none, or if it has died since its last task.
    async fn ready<'a>(&self, slot: &'a mut Slot) -> Result<&'a mut Child, RunError> {
        slot.used = Instant::now();
        if slot.child.as_mut().is_some_and(Child::has_ended) {
            slot.child = None;
        }
        if slot.child.is_none() {
            let child = Child::start(self.worker_kind, &self.settings).await;
            slot.child = Some(child.map_err(|error| {
                let worker = self.worker_kind.as_str();
                tracing::error!(event = "child_not_started", worker, %error, "the process of a model can't be started");
                RunError::worker_unavailable()
            })?);
            self.metrics.models_loaded(self.worker_kind);
        }
        slot.child.as_mut().ok_or_else(RunError::worker_unavailable)
    }

    async fn run_all(
        &self,
        jobs: &[Job],
        stopped: watch::Receiver<bool>,
    ) -> Vec<Result<RunOutput, RunError>> {
        let mut slot = self.slot.lock().await;
        let exchange = match self.ready(&mut slot).await {
            Ok(child) => child.run(jobs, stopped).await,
            Err(error) => return fail_all(jobs, &error),
        };
        slot.used = Instant::now();
        let error = match exchange {
            Exchange::Ended(outcomes) => return outcomes,
            Exchange::Killed => RunError::timeout(),
            Exchange::Died => RunError::crashed(),
        };
        slot.child = None;
        fail_all(jobs, &error)
    }
}

fn fail_all(jobs: &[Job], error: &RunError) -> Vec<Result<RunOutput, RunError>> {
    vec![Err(error.clone()); jobs.len()]
}

impl Runner for ChildRunner {
    const READS_OBJECTS: bool = false;

    async fn prepare(&self) -> Result<(), RunError> {
        let mut slot = self.slot.lock().await;
        self.ready(&mut slot).await.map(|_| ())
    }

    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let (sender, stopped) = watch::channel(false);
        stop.on_trigger(move || {
            sender.send_replace(true);
        });
        Handle::current().block_on(self.run_all(jobs, stopped))
    }

    // The server renews leases, so this part of a fault is its own.
    #[cfg(feature = "faults")]
    fn renews_lease(&self, task: &Task) -> bool {
        mesh_worker::faults::renews_lease(task)
    }
}

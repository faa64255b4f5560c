//! What the server measures: for `GET /metrics`, and for the workers' activity in `GET /v1/workers`.
//!
//! All counters begin at 0 when the server starts, as Prometheus expects. No id of a task, a tenant or a request is a label.

mod activity;
mod scrape;

use std::borrow::Cow;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::{Activity, BackendFuture, WorkerMetrics};
use mesh_reactor::{ChangeMetrics, CountedChange};
use mesh_task::{TaskEnd, TaskType, WorkerKind};
use mesh_worker::BatchMetrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use self::activity::ActivityLog;
pub(crate) use self::scrape::{Scrape, measure, routes};

/// Names and values of a metric's labels.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
/// Histograms with the same buckets, one for each value of the labels.
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// The metrics of this process.
#[derive(Debug)]
pub(crate) struct ServerMetrics {
    queue_messages: Family<Labels<2>, Gauge>,
    queue_age: Family<Labels<1>, Gauge>,
    tasks_running: Family<Labels<1>, Gauge>,
    tasks_ended: Family<Labels<2>, Counter>,
    attempts_retried: Family<Labels<1>, Counter>,
    models_loaded: Family<Labels<1>, Counter>,
    task_wait: Histograms<1>,
    task_run: Histograms<1>,
    requests: Histograms<2>,
    resident_memory: Gauge,
    registry: Registry,
    workers: [WorkerCounts; WorkerKind::ALL.len()],
}

/// What all consumers of a worker's lanes count together.
#[derive(Debug)]
struct WorkerCounts {
    worker_kind: WorkerKind,
    batches: Arc<BatchMetrics>,
    activity: ActivityLog,
}

impl Default for ServerMetrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let started = registered(
            &mut registry,
            "process_start_time_seconds",
            "When the server started, in seconds since 1970",
            Gauge::<i64>::default(),
        );
        started.set(Timestamp::now().as_second());
        let metrics = Self {
            queue_messages: registered(
                &mut registry,
                "ai_mesh_queue_messages",
                "Messages by lane and state (visible, in_flight or delayed)",
                Family::default(),
            ),
            queue_age: registered(
                &mut registry,
                "ai_mesh_queue_oldest_age_seconds",
                "How long the message has been visible that waits longest",
                Family::default(),
            ),
            tasks_running: registered(
                &mut registry,
                "ai_mesh_tasks_running",
                "Tasks that a worker runs",
                Family::default(),
            ),
            tasks_ended: registered(
                &mut registry,
                "ai_mesh_tasks_ended",
                "Tasks that became final by type and outcome (completed, failed, cancelled or dead)",
                Family::default(),
            ),
            attempts_retried: registered(
                &mut registry,
                "ai_mesh_attempts_retried",
                "Attempts that failed and were followed by another",
                Family::default(),
            ),
            models_loaded: registered(
                &mut registry,
                "ai_mesh_models_loaded",
                "How often a worker loaded its models",
                Family::default(),
            ),
            task_wait: registered(
                &mut registry,
                "ai_mesh_task_wait_seconds",
                "How long tasks that were ready waited for a worker",
                Family::new_with_constructor(task_histogram),
            ),
            task_run: registered(
                &mut registry,
                "ai_mesh_task_run_seconds",
                "How long the attempts took that completed or failed their tasks",
                Family::new_with_constructor(task_histogram),
            ),
            requests: registered(
                &mut registry,
                "ai_mesh_http_request_duration_seconds",
                "How long requests took by route and status",
                Family::new_with_constructor(request_histogram),
            ),
            resident_memory: registered(
                &mut registry,
                "process_resident_memory_bytes",
                "The server's memory without that of its child processes",
                Gauge::default(),
            ),
            registry,
            workers: WorkerKind::ALL.map(|worker_kind| WorkerCounts {
                worker_kind,
                batches: Arc::default(),
                activity: ActivityLog::default(),
            }),
        };
        metrics.begin_at_zero();
        metrics
    }
}

impl ServerMetrics {
    /// Makes the series that can be known before anything happens: Prometheus sees no increase in a series that begins at 1.
    fn begin_at_zero(&self) {
        for worker_kind in WorkerKind::ALL {
            let worker = [label("worker", worker_kind.as_str())];
            drop(self.attempts_retried.get_or_create(&worker));
            drop(self.models_loaded.get_or_create(&worker));
        }
        for task_type in TaskType::ALL {
            let task_type = label("type", task_type.as_str());
            for end in [
                TaskEnd::Completed,
                TaskEnd::Failed,
                TaskEnd::Cancelled,
                TaskEnd::Dead,
            ] {
                let labels = [task_type.clone(), label("outcome", end.as_str())];
                drop(self.tasks_ended.get_or_create(&labels));
            }
            let by_type = [task_type];
            drop(self.task_wait.get_or_create(&by_type));
            drop(self.task_run.get_or_create(&by_type));
        }
    }

    /// What the consumers of a worker's lanes count with. They call [`batch_ended`](Self::batch_ended) after each batch.
    pub(crate) fn batches(&self, worker_kind: WorkerKind) -> Arc<BatchMetrics> {
        Arc::clone(&self.worker(worker_kind).batches)
    }

    /// Counts a batch of a worker.
    pub(crate) fn batch_ended(&self, worker_kind: WorkerKind) {
        let worker = self.worker(worker_kind);
        // Consumers share the counts: one may take what another counted, and the sums are right.
        let counts = worker.batches.take();
        self.attempts_retried
            .get_or_create(&[label("worker", worker_kind.as_str())])
            .inc_by(counts.retried);
        let batch = Activity {
            completed: counts.completed,
            failed: counts.failed,
            retried: counts.retried,
            messages: counts.messages,
            batches: 1,
            ..Activity::default()
        };
        worker.activity.add(batch, Timestamp::now());
    }

    /// Counts that a worker loaded its models: a cold start.
    pub(crate) fn models_loaded(&self, worker_kind: WorkerKind) {
        self.models_loaded
            .get_or_create(&[label("worker", worker_kind.as_str())])
            .inc();
        let start = Activity {
            cold_starts: 1,
            ..Activity::default()
        };
        self.worker(worker_kind).activity.add(start, Timestamp::now());
    }

    fn worker(&self, worker_kind: WorkerKind) -> &WorkerCounts {
        let [first, others @ ..] = &self.workers;
        let found = others.iter().find(|worker| worker.worker_kind == worker_kind);
        found.unwrap_or(first)
    }
}

impl WorkerMetrics for ServerMetrics {
    fn activity<'a>(
        &'a self,
        names: &'a [&'a str],
        minutes: i64,
        now: Timestamp,
    ) -> BackendFuture<'a, Vec<Activity>> {
        let activity = |name: &&str| {
            let is_named = |worker: &&WorkerCounts| worker_name(worker.worker_kind) == *name;
            let worker = self.workers.iter().find(is_named);
            worker
                .map(|worker| worker.activity.sum(minutes, now))
                .unwrap_or_default()
        };
        Box::pin(ready(Ok(names.iter().map(activity).collect())))
    }
}

impl ChangeMetrics for ServerMetrics {
    fn counted(&self, changes: &[CountedChange]) {
        for change in changes {
            let task_type = label("type", change.task_type.as_str());
            let by_type = [task_type.clone()];
            if let Some(end) = change.end {
                let labels = [task_type, label("outcome", end.as_str())];
                self.tasks_ended.get_or_create(&labels).inc();
            }
            for (histograms, time) in [(&self.task_wait, change.queue_wait), (&self.task_run, change.run)] {
                if let Some(time) = time {
                    let histogram = histograms.get_or_create(&by_type);
                    histogram.observe(time.as_secs_f64());
                }
            }
        }
    }
}

/// The name of a worker in `GET /v1/workers`.
pub(crate) fn worker_name(worker_kind: WorkerKind) -> String {
    format!("{}-worker", worker_kind.as_str())
}

fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn label(name: &'static str, value: impl Into<Cow<'static, str>>) -> (&'static str, Cow<'static, str>) {
    (name, value.into())
}

/// From a short text to a long recording, and a queue that is behind by hours.
fn task_histogram() -> Histogram {
    Histogram::new([
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
    ])
}

/// A request takes 25 seconds at most.
fn request_histogram() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0,
    ])
}

fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

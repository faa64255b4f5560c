//! The worker pools: for each lane as many consumers of its queue as tasks of it may run at the same time.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use mesh_api::WorkerFunction;
use mesh_embedded::{Embedded, EmbeddedQueue, Received};
use mesh_task::{Lane, LaneKind, WorkerKind};
use mesh_telemetry::task_span;
use mesh_worker::{Deliveries, Delivery, Invocation, Worker};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::children::ChildRunner;
use crate::metrics::{ServerMetrics, worker_name};
use crate::settings::Settings;

/// How long a batch may take; those of recordings and of language models are longer.
const BATCH_TIME: Duration = Duration::from_secs(60);
const AUDIO_BATCH_TIME: Duration = Duration::from_secs(600);
const LANGUAGE_BATCH_TIME: Duration = Duration::from_secs(300);
/// A message that is not answered for comes again after this many times the time of a batch.
const VISIBILITY_FACTOR: u32 = 6;
/// How long a consumer waits before it looks whether its child is idle.
const WAIT: Duration = Duration::from_secs(5);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// How many small texts run as one batch.
const TEXT_BATCH: usize = 10;

/// The workers as `GET /v1/workers` lists them.
pub(crate) fn functions(settings: &Settings) -> [WorkerFunction; WorkerKind::ALL.len()] {
    WorkerKind::ALL.map(|worker_kind| WorkerFunction {
        worker_kind,
        name: worker_name(worker_kind),
        limits: LaneKind::ALL
            .map(|kind| (kind.as_str(), concurrency(kind, settings)))
            .into(),
    })
}

/// How many batches of a lane run at the same time.
fn concurrency(kind: LaneKind, settings: &Settings) -> u32 {
    match kind {
        LaneKind::Small => u32::try_from(settings.small_concurrency()).unwrap_or(u32::MAX),
        LaneKind::Large | LaneKind::High | LaneKind::Low => 1,
    }
}

/// Starts the consumers of all lanes, on a thread of their own. The task ends when all of them have ended.
pub(crate) fn start(
    embedded: &Arc<Embedded>,
    settings: &Settings,
    metrics: &Arc<ServerMetrics>,
    stopped: &watch::Receiver<bool>,
) -> JoinHandle<io::Result<()>> {
    let slots = Lane::all().flat_map(|lane| (0..concurrency(lane.kind, settings)).map(move |_| lane));
    let consumers: Vec<_> = slots
        .map(|lane| Consumer {
            worker: worker(embedded, settings, metrics, lane.worker_kind),
            queue: embedded.lane(lane),
            lane,
            metrics: Arc::clone(metrics),
            stopped: stopped.clone(),
        })
        .collect();
    spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(join_all(consumers.into_iter().map(Consumer::run)));
        Ok(())
    })
}

fn worker(
    embedded: &Embedded,
    settings: &Settings,
    metrics: &Arc<ServerMetrics>,
    worker_kind: WorkerKind,
) -> Worker<ChildRunner> {
    let runner = ChildRunner::new(worker_kind, settings.clone(), Arc::clone(metrics));
    Worker {
        tasks: embedded.tasks(),
        payloads: embedded.payload_store(),
        policies: settings.policies(),
        lease: Settings::LEASE,
        max_receives: Settings::MAX_RECEIVES,
        batch_metrics: metrics.batches(worker_kind),
        runner: Arc::new(runner),
    }
}

/// Receives the messages of a lane and handles them, one batch after the other.
struct Consumer {
    worker: Worker<ChildRunner>,
    queue: Arc<EmbeddedQueue>,
    lane: Lane,
    metrics: Arc<ServerMetrics>,
    stopped: watch::Receiver<bool>,
}

impl Consumer {
    /// Works until the server ends.
    async fn run(self) {
        let (batch, time) = (batch_size(self.lane), batch_time(self.lane));
        let mut stopped = self.stopped.clone();
        loop {
            let received = tokio::select! {
                // What is received as the server ends is visible again after the next start.
                _ = stopped.wait_for(|stopped| *stopped) => return,
                received = self.queue.receive(batch, time * VISIBILITY_FACTOR, WAIT) => received,
            };
            match received {
                Ok(received) if received.is_empty() => self.worker.runner.end_if_idle().await,
                Ok(received) => self.handle(received, time).await,
                Err(error) => {
                    tracing::error!(event = "queue_unreadable", %error, "a queue could not be read");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn handle(&self, received: Vec<Received>, time: Duration) {
        let receipts: BTreeMap<_, _> = received
            .iter()
            .map(|received| (received.receipt.clone(), received.message.is_some()))
            .collect();
        let invocation = Invocation::until(SystemTime::now() + time);
        let deliveries = deliveries(received, &self.queue);
        let handled = self.worker.handle(deliveries, invocation).await;
        self.metrics.batch_ended(self.lane.worker_kind);
        for (receipt, is_task) in receipts {
            if is_task
                && !handled.retained.contains(&receipt)
                && let Err(error) = self.queue.delete(receipt).await
            {
                tracing::warn!(event = "message_not_deleted", %error, "a message could not be deleted; it comes again");
            }
        }
    }
}

/// How many messages are received at once.
fn batch_size(lane: Lane) -> usize {
    match (lane.worker_kind, lane.kind) {
        (WorkerKind::Text | WorkerKind::Language, LaneKind::Small) => TEXT_BATCH,
        _ => 1,
    }
}

fn batch_time(lane: Lane) -> Duration {
    match lane.worker_kind {
        WorkerKind::Audio => AUDIO_BATCH_TIME,
        WorkerKind::Language => LANGUAGE_BATCH_TIME,
        WorkerKind::Text | WorkerKind::Image => BATCH_TIME,
    }
}

fn deliveries(received: Vec<Received>, queue: &Arc<EmbeddedQueue>) -> Deliveries {
    let mut batch = Deliveries {
        received: received.len(),
        ..Deliveries::default()
    };
    for Received {
        message,
        receipt,
        receives,
        trace,
    } in received
    {
        // The store wrote every message, so each names a task.
        let Some(message) = message else { continue };
        if batch
            .deliveries
            .iter()
            .any(|known: &Delivery| known.message == message)
        {
            continue;
        }
        batch.deliveries.push(Delivery {
            span: task_span(&message, trace.as_ref()),
            message,
            message_id: receipt.clone(),
            queue: Arc::<EmbeddedQueue>::clone(queue),
            receipt_handle: receipt,
            receives,
            trace,
        });
    }
    batch
}

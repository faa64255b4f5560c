//! The worker pools: for each lane as many consumers of its queue as tasks of it may run at the same time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use mesh_api::WorkerFunction;
use mesh_embedded::{Embedded, EmbeddedQueue, Received};
use mesh_models::{SpeechVariant, UnknownSpeechVariant};
use mesh_runners::{AudioRunner, ImageRunner, LanguageRunner, TextRunner};
use mesh_task::{Lane, LaneKind, WorkerKind};
use mesh_telemetry::task_span;
use mesh_worker::{Deliveries, Delivery, Runner, Worker};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::language::LanguageServer;
use crate::metrics::{ServerMetrics, worker_name};
use crate::settings::Settings;

/// How long a batch may take; the audio worker's is longer.
const BATCH_TIME: Duration = Duration::from_secs(60);
const AUDIO_BATCH_TIME: Duration = Duration::from_secs(600);
/// A message that is not answered for comes again after this many times the time of a batch.
const VISIBILITY_FACTOR: u32 = 6;
/// How long a consumer waits before it looks whether the server ends.
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

/// Starts the consumers of all lanes, on a thread for each worker. A task that ends says that its worker has ended.
pub(crate) fn start(
    embedded: &Arc<Embedded>,
    settings: &Settings,
    metrics: &Arc<ServerMetrics>,
    assets: &Path,
    stopped: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, UnknownSpeechVariant> {
    let variant: SpeechVariant = settings.speech_model.parse()?;
    let host = |worker_kind| Host {
        embedded: Arc::clone(embedded),
        settings: settings.clone(),
        metrics: Arc::clone(metrics),
        stopped: stopped.clone(),
        worker_kind,
    };
    let (text, image, audio) = (assets.to_owned(), assets.to_owned(), assets.to_owned());
    let language = LanguageServer::from_settings(settings);
    Ok(vec![
        host(WorkerKind::Text).start(move || TextRunner::load(text)),
        host(WorkerKind::Image).start(move || ImageRunner::load(image)),
        host(WorkerKind::Audio).start(move || AudioRunner::load(&audio, variant)),
        host(WorkerKind::Language).start(move || Ok::<_, Infallible>(LanguageRunner::load(language))),
    ])
}

/// What the consumers of a worker's lanes share.
struct Host {
    embedded: Arc<Embedded>,
    settings: Settings,
    metrics: Arc<ServerMetrics>,
    stopped: watch::Receiver<bool>,
    worker_kind: WorkerKind,
}

impl Host {
    fn start<R: Runner, E: std::error::Error>(
        self,
        load: impl FnOnce() -> Result<R, E> + Send + 'static,
    ) -> JoinHandle<()> {
        spawn_blocking(move || {
            let name = self.worker_kind.as_str();
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    tracing::error!(event = "worker_not_started", worker = name, %error, "a worker can't be started: its tasks wait");
                    return;
                }
            };
            // A runner may use the runtime.
            let loaded = {
                let _entered = runtime.enter();
                load()
            };
            match loaded {
                Ok(runner) => {
                    self.metrics.models_loaded(self.worker_kind);
                    runtime.block_on(self.consume_all(Arc::new(runner)));
                }
                Err(error) => {
                    tracing::error!(event = "runner_not_loaded", worker = name, %error, "a worker's model can't be loaded: its tasks wait");
                }
            }
        })
    }

    async fn consume_all<R: Runner>(&self, runner: Arc<R>) {
        let lanes = Lane::all().filter(|lane| lane.worker_kind == self.worker_kind);
        let consumers = lanes.flat_map(|lane| (0..concurrency(lane.kind, &self.settings)).map(move |_| lane));
        let consumers = consumers.map(|lane| {
            let worker = Worker {
                tasks: self.embedded.tasks(),
                payloads: self.embedded.payload_store(),
                policies: Settings::policies(),
                lease: Settings::LEASE,
                max_receives: Settings::MAX_RECEIVES,
                batch_metrics: self.metrics.batches(lane.worker_kind),
                runner: Arc::clone(&runner),
            };
            consume(
                worker,
                self.embedded.lane(lane),
                Limits::for_lane(lane),
                self.stopped.clone(),
                move || self.metrics.batch_ended(lane.worker_kind),
            )
        });
        join_all(consumers).await;
    }
}

/// How a lane's messages are received.
struct Limits {
    batch: usize,
    time: Duration,
}

impl Limits {
    fn for_lane(lane: Lane) -> Self {
        Self {
            batch: match (lane.worker_kind, lane.kind) {
                (WorkerKind::Text | WorkerKind::Language, LaneKind::Small) => TEXT_BATCH,
                _ => 1,
            },
            time: match lane.worker_kind {
                WorkerKind::Audio => AUDIO_BATCH_TIME,
                WorkerKind::Text | WorkerKind::Image | WorkerKind::Language => BATCH_TIME,
            },
        }
    }
}

/// Receives and handles batches until the server ends.
async fn consume<R: Runner>(
    worker: Worker<R>,
    queue: Arc<EmbeddedQueue>,
    limits: Limits,
    stopped: watch::Receiver<bool>,
    batch_ended: impl Fn(),
) {
    while !*stopped.borrow() {
        let received = queue
            .receive(limits.batch, limits.time * VISIBILITY_FACTOR, WAIT)
            .await;
        let received = match received {
            Ok(received) if received.is_empty() => continue,
            Ok(received) => received,
            Err(error) => {
                tracing::error!(event = "queue_unreadable", %error, "a queue could not be read");
                sleep(PAUSE).await;
                continue;
            }
        };
        let receipts: BTreeMap<_, _> = received
            .iter()
            .map(|received| (received.receipt.clone(), received.message.is_some()))
            .collect();
        let invocation = mesh_worker::Invocation::until(SystemTime::now() + limits.time);
        let handled = worker.handle(deliveries(received, &queue), invocation).await;
        batch_ended();
        for (receipt, is_task) in receipts {
            if is_task
                && !handled.retained.contains(&receipt)
                && let Err(error) = queue.delete(receipt).await
            {
                tracing::warn!(event = "message_not_deleted", %error, "a message could not be deleted; it comes again");
            }
        }
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

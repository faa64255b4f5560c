//! What runs beside the workers: the reactor counts changes, the sweeper repairs, and what has expired is deleted.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::BackendError;
use mesh_embedded::{Deleted, Embedded};
use mesh_sweeper::Sweeper;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::metrics::ServerMetrics;
use crate::settings::Settings;

/// How many changes are counted in one write.
const COUNTED_AT_ONCE: usize = 500;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the sweeper looks for tasks that are due.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How long one sweep may take.
const SWEEP_TIME: Duration = Duration::from_secs(60);
/// How often what has expired is deleted.
const DELETE_EVERY: Duration = Duration::from_secs(60);
/// How often files without a record are looked for.
const SEARCH_FILES_EVERY: Duration = Duration::from_hours(1);

/// Starts all of it. `retention` is how long a task is kept, and an upload that no task names.
pub(crate) fn start(
    embedded: &Arc<Embedded>,
    retention: Duration,
    metrics: &Arc<ServerMetrics>,
    stopped: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let until_stopped = |work: futures_util::future::BoxFuture<'static, ()>| {
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        })
    };
    vec![
        until_stopped(Box::pin(count(Arc::clone(embedded), Arc::clone(metrics)))),
        until_stopped(Box::pin(sweep(Arc::clone(embedded)))),
        until_stopped(Box::pin(delete(Arc::clone(embedded), retention))),
        until_stopped(Box::pin(delete_files(Arc::clone(embedded)))),
    ]
}

async fn count(embedded: Arc<Embedded>, metrics: Arc<ServerMetrics>) {
    let counters = embedded.counters();
    loop {
        let counted = match embedded.uncounted(COUNTED_AT_ONCE).await {
            Ok(records) => mesh_reactor::follow(&*counters, &*metrics, records).await,
            Err(error) => Err(error),
        };
        if let Err(error) = counted {
            tracing::error!(event = "changes_not_counted", %error, "changes could not be counted; they are counted later");
            sleep(PAUSE).await;
        }
    }
}

async fn sweep(embedded: Arc<Embedded>) {
    let sweeper = Sweeper {
        tasks: embedded.tasks(),
        queues: embedded.queues(),
        policy: Settings::sweep_policy(),
    };
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let report = sweeper.sweep_overdue(Instant::now() + SWEEP_TIME).await;
        if report.seen > 0 {
            tracing::info!(
                event = "swept",
                seen = report.seen,
                requeued = report.requeued,
                reclaimed = report.reclaimed,
                exhausted = report.exhausted,
                "tasks that were due were checked"
            );
        }
        resend_dead_letters(&embedded, &sweeper).await;
    }
}

/// Sends a new message for each task that is not final and whose message was received too often.
async fn resend_dead_letters(embedded: &Embedded, sweeper: &Sweeper) {
    let queue = embedded.dead_letters();
    loop {
        let received = match queue.receive(50, SWEEP_TIME, Duration::ZERO).await {
            Ok(received) if received.is_empty() => return,
            Ok(received) => received,
            Err(error) => {
                tracing::error!(event = "dead_letters_unreadable", %error, "the dead-letter queue could not be read");
                return;
            }
        };
        for letter in received {
            let Some(message) = letter.message else { continue };
            let resent = sweeper.resend_message(&message, letter.receives).await;
            let deleted = match resent {
                Ok(()) => queue.delete(letter.receipt).await,
                Err(error) => Err(error),
            };
            if let Err(error) = deleted {
                tracing::error!(event = "dead_letter_retained", task_id = %message.id, %error, "a dead letter could not be resent; it is tried again");
            }
        }
    }
}

async fn delete(embedded: Arc<Embedded>, retention: Duration) {
    let mut ticks = interval(DELETE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match embedded.delete_expired(Timestamp::now(), retention).await {
            Ok(deleted) if deleted == Deleted::default() => {}
            Ok(Deleted {
                tasks,
                keys,
                changes,
                payloads,
            }) => tracing::info!(
                event = "expired_deleted",
                tasks,
                keys,
                changes,
                payloads,
                "what had expired was deleted"
            ),
            Err(error) => log_undeleted(&error),
        }
    }
}

async fn delete_files(embedded: Arc<Embedded>) {
    let mut ticks = interval(SEARCH_FILES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = embedded.delete_stray_files(Timestamp::now()).await {
            log_undeleted(&error);
        }
    }
}

fn log_undeleted(error: &BackendError) {
    tracing::error!(event = "expired_not_deleted", %error, "what has expired could not be deleted; it is deleted later");
}

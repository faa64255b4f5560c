//! Rebuilds the counters from the task table while tasks change. [`mesh_stats::Recount`] explains why the result is right.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use mesh_aws::{StatsTable, TaskTable};
use mesh_backend::{BackendError, CounterStore};
use mesh_stats::{RECENT, Recount};
use mesh_task::Tenant;
use tokio::time::{Instant, sleep};

/// How many segments of the table are scanned in parallel.
const SEGMENTS: i32 = 8;
/// The largest difference between two clocks: the log is read from this much before the scan.
const SKEW: SignedDuration = SignedDuration::from_mins(2);
/// Longer than the event source's batching window. After this time the log contains the removals too, which leave no item to
/// compare with.
const LOG_COMPLETE_AFTER: Duration = Duration::from_secs(3);
/// After this time a missing record counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// The pause between two reads of the log.
const PAUSE: Duration = Duration::from_millis(500);

/// About how many changes one read returns.
const CHANGES_PER_READ: usize = 1_000;

/// The tables that a rebuild reads and writes.
#[derive(Debug)]
pub(crate) struct Tables {
    /// The tasks, which are counted.
    pub(crate) tasks: TaskTable,
    /// The counters and change logs.
    pub(crate) stats: StatsTable,
}

/// Why the counters were not rebuilt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    /// A table did not answer.
    #[error(transparent)]
    Table(#[from] BackendError),
    /// The scan of the task table did not end in time; no counter was changed.
    #[error(
        "the task table could not be read within the function's time, and no counter was changed: raise the Timeout of ReactorFunction"
    )]
    OutOfTime,
    /// The change log expired while it was read.
    #[error("the change log expired before it was read: run the rebuild again")]
    LogExpired,
    /// Other writers changed a tenant's counters until the time was over.
    #[error("the counters of {0} changed too often to be replaced: run the rebuild again")]
    Contended(Tenant),
}

/// What a rebuild counted.
#[derive(Debug, Default)]
pub(crate) struct Rebuilt {
    /// How many tenants' counters were replaced.
    pub(crate) tenants: usize,
    /// How many tasks were counted.
    pub(crate) tasks: u64,
    /// Tasks whose last change never came by the stream.
    pub(crate) unseen: usize,
}

impl Tables {
    /// Sets every tenant's counts to what the task table contains, until the time is over. A tenant's counts are replaced
    /// in one write, or not at all.
    ///
    /// # Errors
    /// When a table does not answer, or the time is over; tenants that were done by then keep their new counts.
    pub(crate) async fn rebuild(&self, until: Instant) -> Result<Rebuilt, RebuildError> {
        let began_at = Timestamp::now();
        let counts = Mutex::new(HashMap::new());
        let scans = (0..SEGMENTS).map(|segment| self.scan(segment, began_at, &counts, until));
        try_join_all(scans).await?;
        let counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut tenants: HashSet<Tenant> = self.stats.tenants().await?.into_iter().collect();
        tenants.extend(counts.keys().cloned());

        let scanned_at = Instant::now();
        let none = Recount::new(began_at);
        let mut done = Rebuilt::default();
        for tenant in &tenants {
            let recount = counts.get(tenant).unwrap_or(&none);
            done.unseen += self
                .replace_counts(tenant, recount, began_at, scanned_at, until)
                .await?;
            done.tasks += recount.tasks();
            done.tenants += 1;
        }
        tracing::info!(
            event = "counters_rebuilt",
            tenants = done.tenants,
            tasks = done.tasks,
            unseen = done.unseen,
            "the counters were rebuilt"
        );
        Ok(done)
    }

    async fn scan(
        &self,
        segment: i32,
        began_at: Timestamp,
        counts: &Mutex<HashMap<Tenant, Recount>>,
        until: Instant,
    ) -> Result<(), RebuildError> {
        let mut last = None;
        loop {
            let page = self.tasks.snapshots(segment, SEGMENTS, last).await?;
            if Instant::now() >= until {
                return Err(RebuildError::OutOfTime);
            }
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            for task in &page.entries {
                let count = counts.entry(task.tenant.clone());
                count
                    .or_insert_with(|| Recount::new(began_at))
                    .count(task.clone());
            }
            drop(counts);
            if !page.has_next() {
                return Ok(());
            }
            last = Some(page);
        }
    }

    /// Waits until the log contains every change that the scan has seen, and replaces the counts. Returns the number of tasks
    /// whose last change the log does not contain even then.
    async fn replace_counts(
        &self,
        tenant: &Tenant,
        recount: &Recount,
        began_at: Timestamp,
        scanned_at: Instant,
        until: Instant,
    ) -> Result<usize, RebuildError> {
        let counters = self.stats.counters(tenant).await?;
        let mut log = self
            .stats
            .log_since(tenant, &counters, began_at - RECENT - SKEW)
            .await?;
        let mut read = counters.last;
        loop {
            let counters = self.stats.counters(tenant).await?;
            while read < counters.last {
                let more = self
                    .stats
                    .changes(tenant, &counters, read, CHANGES_PER_READ)
                    .await?;
                let more = more.ok_or(RebuildError::LogExpired)?;
                read += more.len() as u64;
                log.extend(more.into_iter().map(|(_, change)| change));
            }
            let unseen = recount.unseen(&log);
            let waited = scanned_at.elapsed();
            if waited >= LOST_AFTER || (waited >= LOG_COMPLETE_AFTER && unseen == 0) {
                let next = counters.recounted(recount.counts(&log));
                if self.stats.replace(tenant, &counters, &next).await? {
                    return Ok(unseen);
                }
            } else {
                sleep(PAUSE).await;
            }
            if Instant::now() >= until {
                return Err(RebuildError::Contended(tenant.clone()));
            }
        }
    }
}

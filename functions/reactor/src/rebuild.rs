//! Counts the tasks of the table anew, while they flow. See [`mesh_stats::Recount`] for why that comes out right.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Error;
use mesh_stats::{RECENT, Recount};
use mesh_task::Tenant;
use tokio::time::{Instant, sleep};

use crate::Reactor;

/// How many parts of the table are read side by side.
const SEGMENTS: i32 = 8;
/// The log is read from a little before what it must hold: clocks differ.
const SKEW: SignedDuration = SignedDuration::from_mins(2);
/// Longer than a batch gathers records: a removal leaves nothing that the log could be held against.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// A record that is not there by then is taken to be lost.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// How long until the log is looked at again.
const PAUSE: Duration = Duration::from_millis(500);

/// About how many changes are read at a time.
const MORE: usize = 1_000;

/// What a rebuild did.
#[derive(Debug, Default)]
pub(crate) struct Rebuilt {
    pub(crate) tenants: usize,
    pub(crate) tasks: u64,
    /// Tasks whose last change the stream never told.
    pub(crate) unseen: usize,
}

impl Reactor {
    /// Sets every tenant's counts to what the table holds. Each tenant's are replaced at once, or not at all.
    pub(crate) async fn rebuild(&self, until: Instant) -> Result<Rebuilt, Error> {
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
            done.unseen += self.settle(tenant, recount, began_at, scanned_at, until).await?;
            done.tasks += recount.tasks();
            done.tenants += 1;
        }
        Ok(done)
    }

    async fn scan(
        &self,
        segment: i32,
        began_at: Timestamp,
        counts: &Mutex<HashMap<Tenant, Recount>>,
        until: Instant,
    ) -> Result<(), Error> {
        let mut last = None;
        loop {
            let page = self.tasks.snapshots(segment, SEGMENTS, last).await?;
            if Instant::now() >= until {
                return Err("the table was not read in time, and nothing was changed: give ReactorFunction a longer Timeout".into());
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

    /// Waits until the log tells all that the scan has seen, and replaces the counts. Answers how many tasks it does not tell
    /// of even then.
    async fn settle(
        &self,
        tenant: &Tenant,
        recount: &Recount,
        began_at: Timestamp,
        scanned_at: Instant,
        until: Instant,
    ) -> Result<usize, Error> {
        let book = self.stats.book(tenant).await?;
        let mut log = self
            .stats
            .log_since(tenant, &book, began_at - RECENT - SKEW)
            .await?;
        let mut read = book.last;
        loop {
            let book = self.stats.book(tenant).await?;
            while read < book.last {
                let more = self.stats.changes(tenant, &book, read, MORE).await?;
                let more = more.ok_or("the change log was gone before it was read: run it again")?;
                read += more.len() as u64;
                log.extend(more.into_iter().map(|(_, change)| change));
            }
            let unseen = recount.unseen(&log);
            let waited = scanned_at.elapsed();
            if waited >= LOST_AFTER || (waited >= SETTLED_AFTER && unseen == 0) {
                let next = book.recounted(recount.counts(&log));
                if self.stats.replace(tenant, &book, &next).await? {
                    return Ok(unseen);
                }
            } else {
                sleep(PAUSE).await;
            }
            if Instant::now() >= until {
                return Err(format!(
                    "the counters of {tenant} changed all the time, or the scan took too long: run it again"
                )
                .into());
            }
        }
    }
}

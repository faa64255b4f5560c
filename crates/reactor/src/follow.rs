//! Counts changed tasks in their tenants' counters.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use mesh_backend::BackendError;
use mesh_stats::Record;
use mesh_task::Tenant;
use mesh_telemetry::tenant_hash;
use tokio::time::sleep;

use crate::{Reactor, measure};

/// How often a lost compare-and-set is tried again. Several stream shards contain one tenant's tasks, so writers compete.
const TRIES: u32 = 20;
/// The longest pause before the second try, in milliseconds; it grows by as much with each further try.
const PAUSE: u64 = 20;
/// The largest difference between DynamoDB's clock and a function's.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

impl Reactor {
    /// Counts records of changed tasks, each tenant's by itself. A repeated record counts once.
    ///
    /// # Errors
    /// When a tenant's records could not be counted: the caller repeats all records, and those that were counted are
    /// recognized.
    pub async fn follow(&self, changed: impl IntoIterator<Item = Record>) -> Result<(), BackendError> {
        let mut parts: HashMap<Tenant, Vec<Record>> = HashMap::new();
        for record in changed {
            let task = record.new.as_ref().or(record.old.as_ref());
            if let Some(tenant) = task.map(|task| task.tenant.clone()) {
                parts.entry(tenant).or_default().push(record);
            }
        }
        let counted = parts.iter().map(async |(tenant, records)| {
            let counted = self.count(tenant, records).await;
            counted.inspect_err(
                |error| tracing::error!(event = "records_not_counted", tenant_hash = tenant_hash(tenant), records = records.len(), %error, "records could not be counted"),
            )
        });
        join_all(counted).await.into_iter().collect()
    }

    async fn count(&self, tenant: &Tenant, records: &[Record]) -> Result<(), BackendError> {
        if records.iter().all(|record| record.change().is_none()) {
            return Ok(());
        }
        for tried in 0..TRIES {
            let counters = self.stats.counters(tenant).await?;
            let first = counters
                .possible_repeats(records)
                .map(|record| record.written_at)
                .min();
            let counted: HashSet<_> = match first {
                None => HashSet::new(),
                Some(first) => {
                    let log = self.stats.log_since(tenant, &counters, first - SKEW).await?;
                    log.into_iter().map(|change| change.sequence).collect()
                }
            };
            let Some(next) = counters.fold(records, &counted, Timestamp::now()) else {
                tracing::info!(
                    event = "records_repeated",
                    tenant_hash = tenant_hash(tenant),
                    records = records.len(),
                    "the records were counted before; they count once"
                );
                return Ok(());
            };
            if self.stats.replace(tenant, &counters, &next).await? {
                measure::write_metrics(&next.latest.changes, records);
                return Ok(());
            }
            sleep(Duration::from_millis(fastrand::u64(
                ..=PAUSE * u64::from(tried + 1),
            )))
            .await;
        }
        Err(BackendError::contended("PutItem"))
    }
}

//! Brings the records of a batch into their tenants' books.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use mesh_aws::AwsError;
use mesh_stats::Record;
use mesh_task::Tenant;
use mesh_telemetry::tenant_hash;
use tokio::time::sleep;

use crate::{Reactor, measure};

/// How often a book is read again that another has written meanwhile: one tenant's tasks come by several stream shards.
const TRIES: u32 = 20;
/// The longest pause before the second try, in milliseconds; it grows with each further one.
const PAUSE: u64 = 20;
/// By how much DynamoDB's clock and a function's may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

impl Reactor {
    /// Counts a batch, each tenant's part by itself. If one could not be, the batch is to be repeated: what was counted is
    /// known again then.
    pub async fn follow(&self, changed: impl IntoIterator<Item = Record>) -> Result<(), AwsError> {
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
                |error| tracing::error!(tenant_hash = tenant_hash(tenant), records = records.len(), %error, "records could not be counted"),
            )
        });
        join_all(counted).await.into_iter().collect()
    }

    async fn count(&self, tenant: &Tenant, records: &[Record]) -> Result<(), AwsError> {
        if records.iter().all(|record| record.change().is_none()) {
            return Ok(());
        }
        for tried in 0..TRIES {
            let book = self.stats.book(tenant).await?;
            let first = book
                .possible_repeats(records)
                .map(|record| record.written_at)
                .min();
            let counted: HashSet<_> = match first {
                None => HashSet::new(),
                Some(first) => {
                    let log = self.stats.log_since(tenant, &book, first - SKEW).await?;
                    log.into_iter().map(|change| change.sequence).collect()
                }
            };
            let Some(next) = book.fold(records, &counted, Timestamp::now()) else {
                tracing::info!(
                    tenant_hash = tenant_hash(tenant),
                    records = records.len(),
                    "a batch came again; it counts once"
                );
                return Ok(());
            };
            if self.stats.replace(tenant, &book, &next).await? {
                measure::counted(&next.latest.changes, records);
                return Ok(());
            }
            sleep(Duration::from_millis(fastrand::u64(
                ..=PAUSE * u64::from(tried + 1),
            )))
            .await;
        }
        Err(AwsError::contended("PutItem"))
    }
}

//! Counts changed tasks in their tenants' counters.

use std::collections::HashMap;

use futures_util::future::join_all;
use mesh_backend::{BackendError, CounterStore};
use mesh_stats::Record;
use mesh_task::Tenant;
use mesh_telemetry::tenant_hash;

use crate::measure::{ChangeMetrics, CountedChange};

/// Counts records of changed tasks, each tenant's by itself. A repeated record counts once, and is measured once.
///
/// # Errors
/// When a tenant's records could not be counted: the caller repeats all records, and those that were counted are
/// recognized.
pub async fn follow(
    store: &dyn CounterStore,
    metrics: &dyn ChangeMetrics,
    changed: impl IntoIterator<Item = Record>,
) -> Result<(), BackendError> {
    let mut parts: HashMap<Tenant, Vec<Record>> = HashMap::new();
    for record in changed {
        let task = record.new.as_ref().or(record.old.as_ref());
        if let Some(tenant) = task.map(|task| task.tenant.clone()) {
            parts.entry(tenant).or_default().push(record);
        }
    }
    let counted = parts.iter().map(async |(tenant, records)| {
        let counted = count(store, metrics, tenant, records).await;
        counted.inspect_err(
            |error| tracing::error!(event = "records_not_counted", tenant_hash = tenant_hash(tenant), records = records.len(), %error, "records could not be counted"),
        )
    });
    join_all(counted).await.into_iter().collect()
}

async fn count(
    store: &dyn CounterStore,
    metrics: &dyn ChangeMetrics,
    tenant: &Tenant,
    records: &[Record],
) -> Result<(), BackendError> {
    if records.iter().all(|record| record.change().is_none()) {
        return Ok(());
    }
    let changes = store.count(tenant, records).await?;
    if changes.is_empty() {
        tracing::info!(
            event = "records_repeated",
            tenant_hash = tenant_hash(tenant),
            records = records.len(),
            "the records were counted before; they count once"
        );
    } else {
        metrics.counted(&CountedChange::of_records(&changes, records));
    }
    Ok(())
}

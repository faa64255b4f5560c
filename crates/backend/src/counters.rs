//! The counters and change logs of the tenants.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::{BoxFuture, pending};
use mesh_stats::{Change, Record, TenantCounters};
use mesh_task::Tenant;

use crate::BackendFuture;

/// How long a change stays in the log. The API promises ten minutes. The reactor on AWS needs the log for as long as its event
/// source may repeat a record, and for as long as a rebuild may run.
pub const LOG_RETENTION: Duration = Duration::from_hours(2);

/// The store of each tenant's counters and change log. Both contain every change of a task once.
pub trait CounterStore: Debug + Send + Sync {
    /// A tenant's counters; empty ones if none of its tasks was counted yet.
    ///
    /// # Errors
    /// When the store did not answer, or the counters can't be parsed.
    fn counters<'a>(&'a self, tenant: &'a Tenant) -> BackendFuture<'a, TenantCounters>;

    /// The changes after number `after`, each with its number: about `limit` of them, up to the end of these counters. `None`
    /// if some of them are no longer retained, or if there never was such a number.
    ///
    /// # Errors
    /// When the store did not answer.
    fn changes<'a>(
        &'a self,
        tenant: &'a Tenant,
        counters: &'a TenantCounters,
        after: u64,
        limit: usize,
    ) -> BackendFuture<'a, Option<Vec<(u64, Change)>>>;

    /// Ends at the first change of a tenant's counters after this call, if the store notices that: else never.
    fn changed(&self, _tenant: &Tenant) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }

    /// Counts records of a tenant's changed tasks, all in one write, and returns the changes that they contained. A record
    /// that was counted before is not counted again.
    ///
    /// # Errors
    /// When the store did not answer; the records may have been counted. The same call may be repeated.
    fn count<'a>(&'a self, tenant: &'a Tenant, records: &'a [Record]) -> BackendFuture<'a, Vec<Change>>;
}

//! Counters of a tenant's tasks: how many there are of each type and status, how fast they come and go, and what changed last.
//! All of it follows from the stream of the tasks table. This crate does no I/O.
//!
//! Each tenant has one [`TenantCounters`]. The reactor reads it, [folds in](TenantCounters::fold) a batch of [`Record`]s, and
//! writes it back on condition that nobody else has written it since. The batch's [`Change`]s become part of the change log in
//! the same write. So counters and change log always agree, without a transaction.
//!
//! # A repeated record counts once
//!
//! Lambda repeats a batch that failed: whole, from a record in its middle, or cut in half. It does not say which stream shard a
//! record came from, and sequence numbers of different stream shards cannot be compared. Only one order is guaranteed: the
//! records of one task arrive in the order of its changes.
//!
//! Therefore the counters store a high-water mark for each [`Shard`](mesh_task::Shard) of the tasks: the highest sequence number
//! that was counted. A record above the mark is new. A record at or below it
//! ([`TenantCounters::possible_repeats`]) is nearly always a repeat, and the change log is searched for its exact number. If the
//! log does not contain it, the record came from another stream shard, after DynamoDB split a partition, and counts.

mod change;
mod counts;
mod histogram;
mod minutes;
mod recount;
mod sequence;
mod tenant_counters;
#[cfg(test)]
mod testing;

pub use change::{Change, Record, Snapshot};
pub use counts::Counts;
pub use histogram::Histogram;
pub use minutes::{Flow, Minutes};
pub use recount::{RECENT, Recount};
pub use sequence::{InvalidSequence, Sequence};
pub use tenant_counters::{Logged, TenantCounters};

//! What is known of a tenant's tasks without reading them: how many there are of each kind, how fast they come and go,
//! and what changed last. All of it follows from the task table's stream.
//!
//! A [`TenantCounters`] is kept for each tenant. The reactor reads it, [folds](TenantCounters::fold) a batch of [`Record`]s in, and writes it
//! back if nobody else has meanwhile; the [`Change`]s of the batch become part of the change log in the same write. So
//! the counters and the log always tell the same, and neither needs a transaction. Nothing here does I/O.
//!
//! A stream shows a record more than once: Lambda repeats a batch that failed, from its beginning, from a record in the
//! middle, or cut in half. The stream shard that a record came from is not told, and numbers of different shards can't be
//! compared; what can be relied on is that the records of one task come in order. Therefore the book keeps, for each
//! sixteenth of the tasks, the highest sequence number that it holds. What lies above has not been counted. What does not
//! ([`TenantCounters::possible_duplicates`]) is nearly always a repeat, and is looked for in the change log by its exact number: what is not
//! found there came from another shard (a partition that was split), and counts.

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

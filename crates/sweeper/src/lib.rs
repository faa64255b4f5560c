//! Repairs tasks after timeouts and lost messages. On a schedule it looks at the tasks that are due ([`Sweeper::sweep_overdue`]).
//! From the dead-letter queue it sends a new message for each task that is not final ([`Sweeper::resend`]).
//!
//! What a task needs is decided by `mesh_task` ([`mesh_task::SweepAction`]); this crate carries it out.

mod dead_letters;
mod overdue;
mod sweep;

use std::sync::Arc;

use mesh_backend::{Queues, TaskStore};
use mesh_task::SweepPolicy;

pub use dead_letters::DeadLetter;
pub use overdue::SweepReport;

/// The store and queues that the sweeper works with.
#[derive(Debug)]
pub struct Sweeper {
    pub tasks: Arc<dyn TaskStore>,
    /// The queue of each lane.
    pub queues: Queues,
    /// When a task is checked.
    pub policy: SweepPolicy,
}

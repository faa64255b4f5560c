//! Reacts to committed changes of tasks: keeps the tenants' counters and change logs ([`Reactor::follow`]). On request it
//! counts the table again ([`Reactor::rebuild`]).

mod follow;
mod measure;
mod rebuild;

use mesh_aws::{StatsTable, TaskTable};

pub use rebuild::{RebuildError, Rebuilt};

/// The tables that the reactor reads and writes.
#[derive(Debug)]
pub struct Reactor {
    /// The tasks, which a rebuild counts.
    pub tasks: TaskTable,
    /// The counters and change logs.
    pub stats: StatsTable,
}

//! Reacts to committed changes of tasks: keeps the tenants' counters and change logs ([`follow`]).

mod follow;
mod measure;

pub use follow::follow;
pub use measure::{ChangeMetrics, CountedChange, EmfMetrics};

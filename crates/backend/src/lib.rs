//! What the API, the workers, the sweeper and the reactor need of the services behind them, and nothing about how a backend
//! does it. They hold a backend's parts as `Arc<dyn ...>`.
//!
//! `mesh-aws` is such a backend.

mod activity;
#[cfg(feature = "contract")]
pub mod contract;
mod counters;
mod error;
mod payloads;
mod queue;
mod tasks;

pub use activity::{Activity, WorkerMetrics};
pub use counters::CounterStore;
pub use error::{BackendError, BackendFuture};
pub use futures_util::future::BoxFuture;
pub use payloads::{PayloadStore, Pinned, ReadError, SignedUpload};
pub use queue::{Depth, MAX_DELAY, Queues, TaskQueue};
pub use tasks::{Due, DueTasks, KeyRecord, ListPage, TaskStore, WriteOutcome};

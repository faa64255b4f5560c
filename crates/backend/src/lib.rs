//! What the API, the workers, the sweeper and the reactor need of the services behind them, and nothing about how a backend
//! does it. They hold a backend's parts as `Arc<dyn ...>`.
//!
//! `mesh-aws` and `mesh-embedded` are such backends.

mod activity;
#[cfg(feature = "contract")]
pub mod contract;
mod counters;
mod error;
mod payloads;
mod queue;
mod tasks;

pub use activity::{Activity, WorkerMetrics};
pub use counters::{CounterStore, LOG_RETENTION};
pub use error::{BackendError, BackendFuture};
pub use futures_util::future::BoxFuture;
pub use payloads::{HEAD_BYTES, PayloadStore, Pinned, ReadError, SignedUpload};
pub use queue::{Depth, MAX_DELAY, Queues, TaskQueue};
pub use tasks::{Due, DueTasks, KEY_RETENTION, KeyRecord, ListPage, MAX_LIST_READ, TaskStore, WriteOutcome};

//! What the API, the workers, the sweeper and the reactor need of the services behind them, and nothing about how a backend
//! does it. They hold a backend's parts as `Arc<dyn ...>`.
//!
//! `mesh-aws` is such a backend.

mod error;
mod payloads;

pub use error::BackendError;
pub use futures_util::future::BoxFuture;
pub use payloads::{PayloadStore, Pinned, ReadError, SignedUpload};

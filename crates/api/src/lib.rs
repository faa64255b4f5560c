//! The HTTP API: its routes, and the services behind them.
//!
//! A host makes an [`Api`] of its backend's clients and serves [`router`].

mod app;
mod changes;
mod compat;
mod dashboard;
mod dead_letters;
mod docs;
#[cfg(feature = "faults")]
mod faults;
mod health;
mod middleware;
mod models;
mod observe;
mod openapi;
mod query;
mod stats;
mod tasks;
mod uploads;
mod wait;
mod workers;

pub use app::{Api, router};
pub use models::ModelSettings;
pub use workers::Workers;

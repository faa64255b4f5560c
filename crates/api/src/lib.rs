//! The HTTP API: its routes, and the services behind them.
//!
//! A host makes an [`ApiState`] of its backend's clients and serves [`router`]. To find a way through the files:
//!
//! - `state`: what the handlers work with.
//! - `router`: all routes and the layers around them. `compat` has the routes of earlier systems.
//! - `submission`, `redrive`: the services that create tasks and give them new attempts.
//! - `tasks`, `uploads`, `dead_letters`, `changes`, `stats`, `models`, `workers`, `health`: the handlers.
//! - `openapi`: completes the document that the router's declarations make.

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
mod redrive;
mod router;
mod state;
mod stats;
mod submission;
mod tasks;
mod uploads;
mod wait;
mod workers;

pub use router::router;
pub use state::{ApiState, ModelSettings, WorkerFunction, Workers};

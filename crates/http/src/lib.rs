//! The HTTP layer that every host of AI Mesh shares: problems and authentication.

pub mod auth;
mod backend;
pub mod problem;

pub use auth::{Denied, TokenHash};
pub use problem::{Problem, ProblemKind};

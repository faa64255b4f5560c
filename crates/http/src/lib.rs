//! The HTTP layer that every host of AI Mesh shares, with or without Lambda.
//!
//! A host gives each request a [`RequestContext`]. Around its routes it puts, from the inside out, [`limits`], [`render`],
//! which writes problems and request ids, and what [`browser`] has for browsers. Handlers answer with a [`Problem`] where
//! they refuse or fail, and read a request by the extractors [`JsonBody`], [`Deadline`], [`CorrelationId`] and
//! [`IdempotencyKey`].

pub mod auth;
mod backend;
pub mod browser;
mod context;
mod headers;
pub mod limits;
mod poll;
mod problem;
mod render;

pub use auth::{Denied, TokenHash};
pub use context::{Deadline, RequestContext, RequestId, with_context};
pub use headers::{
    CORRELATION_ID, CorrelationId, IDEMPOTENCY_KEY, IdempotencyKey, REQUEST_ID, correlation_id,
};
pub use limits::JsonBody;
pub use poll::PollInterval;
pub use problem::{Problem, ProblemKind};
pub use render::render;

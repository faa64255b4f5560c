//! The HTTP layer that every host of AI Mesh shares, with or without Lambda.
//!
//! A host gives each request a [`RequestContext`]. Where a client sent what is not a request, the host makes one that has
//! the [`Problem`] in its extensions. Around its routes it puts, from the inside out, [`limits`], [`render`],
//! which writes problems and request ids, and what [`browser`] has for browsers. Handlers answer with a [`Problem`] where
//! they refuse or fail, and read a request by the extractors [`JsonBody`], [`Deadline`], [`CorrelationId`] and
//! [`IdempotencyKey`].

pub mod auth;
mod backend;
pub mod browser;
mod context;
mod headers;
pub mod json;
pub mod limits;
mod poll;
mod problem;
mod render;
pub mod token_format;

pub use auth::{AcceptedKey, AcceptedKeys, Denied};
pub use context::{Deadline, HOST_MARGIN, MatchedRoute, RequestContext, RequestId};
pub use headers::{
    CORRELATION_ID, CorrelationId, IDEMPOTENCY_KEY, IdempotencyKey, REQUEST_ID, correlation_id,
};
pub use json::{JsonBody, JsonText};
pub use poll::PollInterval;
pub use problem::{Problem, ProblemKind};
pub use render::render;

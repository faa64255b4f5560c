//! The requests and responses of the HTTP API: the API writes them, and its clients read them.
//!
//! Each type is declared once. With the feature `openapi`, its fields and comments are also its schema in
//! docs/openapi.json. Names follow what a type is:
//!
//! - `...Request` and `...Response`: the body of a request, and of the response to it
//! - `...List`: a response with several items, which may be one page of many
//! - `...View`: a domain type as the API shows it
//!
//! Two things are not here. A submission is parsed by [`mesh_task::NewTask`], whose errors say what to send, and a result is
//! a [`mesh_task::TaskResult`].
//!
//! A newer API may add fields and values. Parsing ignores unknown fields. Where a new value is likely, the type accepts it:
//! [`ChangeStatus`], [`StatusCounts`], and all names that are a `String`. Serializing gives the same JSON again, without
//! unknown fields.

mod change;
mod dead_letter;
mod problem;
mod stack;
mod stats;
mod submission;
mod task;

pub use change::{ChangeLinks, ChangeList, ChangeStatus, ChangeView};
pub use dead_letter::{DeadLetterList, RedriveRequest, RedriveResponse};
pub use problem::ProblemDocument;
pub use stack::{Health, HealthCheck, ModelList, ModelView, WorkerList, WorkerView};
pub use stats::{PerMinute, Percentiles, QueueDepth, Rates, StatsResponse, StatusCounts};
pub use submission::{BatchResponse, BatchResult, SubmitLinks, SubmitResponse, UploadTicket};
pub use task::{AttemptView, Link, TaskList, TaskSummaryView, TaskView};

//! A client of the API: each operation is a method, and responses and problems are typed.
//!
//! ```no_run
//! # async fn example() -> Result<(), mesh_client::Error> {
//! use std::time::Duration;
//! use mesh_client::{Client, Source, Submission};
//! use mesh_task::Parameters;
//!
//! let client = Client::from_env()?;
//! let submission = Submission::new(&Parameters::Sentiment, &Source::Text("Well done!".to_owned()));
//! let accepted = client.submit(&submission).await?;
//! let task = client.wait(accepted.id, Duration::from_secs(60)).await?;
//! println!("{:?}", task.result);
//! # Ok(())
//! # }
//! ```
//!
//! The client repeats a request that the API was too busy for (429, 503), after its `Retry-After`. It also repeats a
//! request without a response, or with status 500, 502 or 504, if a repeat is safe. Every submission has an idempotency
//! key, so that repeats never create a second task.

mod backoff;
mod client;
mod error;
mod exchange;
mod query;
mod stack;
mod submission;

pub use backoff::{Backoff, MAX_REQUEST_ATTEMPTS};
pub use client::{Client, Filter, MAX_WAIT, RedriveTarget};
pub use error::Error;
pub use mesh_api_types::{
    AttemptView, ChangeLinks, ChangeList, ChangeStatus, ChangeView, DeadLetterList, Health, HealthCheck,
    Link, ModelView, PerMinute, Percentiles, ProblemDocument, QueueDepth, Rates, RedriveResponse,
    StatsResponse, StatusCounts, SubmitLinks, SubmitResponse, TaskList, TaskSummaryView, TaskView,
    WorkerList, WorkerView,
};
pub use stack::ProbeResponse;
pub use submission::{Source, Submission};

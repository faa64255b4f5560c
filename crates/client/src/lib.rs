//! A client of the API: each of its operations as a method, answers and refusals typed.
//!
//! ```no_run
//! # async fn shown() -> Result<(), mesh_client::Error> {
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
//! What the API is too busy for (429, 503) is asked again after its `Retry-After`, a few times; so is what got no answer,
//! or a failure (500, 502, 504), where a repeat does no harm. A submission has an idempotency key in any case, so that it
//! never makes two tasks.

mod answers;
mod client;
mod error;
mod exchange;
mod query;
mod stack;
mod submission;

pub use answers::{
    Accepted, Attempt, Change, Changes, DeadLetters, Flow, Greeting, Health, HealthCheck, Link, Model,
    Percentiles, QueueDepth, Rates, Redriven, Stats, Task, TaskPage, TaskSummary, Worker, Workers,
};
pub use client::{Client, Filter, Which};
pub use error::{Error, Problem};
pub use submission::{Source, Submission};

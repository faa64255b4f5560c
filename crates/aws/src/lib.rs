//! The only crate that knows AWS: the task table, the counters, the queues and the payload bucket; by features of their
//! own Bedrock's models, Secrets Manager's secrets and CloudWatch's metrics.
//!
//! Each type here is a client with the resource's name. The code reads the standard AWS variables alone (region,
//! credentials, `AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`), so that a stack may stand on AWS or on any emulator.

mod backoff;
#[cfg(feature = "bedrock")]
mod bedrock;
mod client;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
mod item;
#[cfg(feature = "faults")]
pub mod meter;
#[cfg(feature = "metrics")]
mod metrics;
mod payloads;
mod queue;
#[cfg(feature = "secrets")]
mod secret;
mod stats;
mod table;
#[cfg(test)]
mod testing;

#[cfg(feature = "bedrock")]
pub use bedrock::{Bedrock, BedrockError, Conversation, ConversationEnd, Conversed, Form};
pub use client::sdk_config;
pub use error::AwsError;
#[cfg(feature = "metrics")]
pub use metrics::{Activity, Metrics};
pub use payloads::{Payloads, Pinned, ReadError, SignedUpload};
pub use queue::{Depth, MAX_DELAY, Queue, Queues, WorkerQueues};
#[cfg(feature = "secrets")]
pub use secret::{Secret, secret};
pub use stats::StatsTable;
pub use table::{Continuation, Due, KeyRecord, Page, TaskList, TaskPage, TaskTable, WriteOutcome};

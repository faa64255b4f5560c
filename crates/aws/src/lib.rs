//! The AWS backend, and the only library that uses the AWS SDK: the task table and the counters (DynamoDB), the queues (SQS)
//! and the payload bucket (S3). Features add Bedrock's models, Secrets Manager's secrets and CloudWatch's metrics.
//!
//! Each type is a client of one resource. Only the standard AWS variables are read (region, credentials,
//! `AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`), so that a stack can run on AWS or on an emulator.

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
#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(feature = "bedrock")]
pub use bedrock::{Bedrock, BedrockError, Conversation, ConversationEnd, Conversed, Form};
pub use client::sdk_config;
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use payloads::Payloads;
pub use queue::{SqsQueue, WorkerQueues, queues_from_settings};
#[cfg(feature = "secrets")]
pub use secret::{Secret, secret};
pub use stats::StatsTable;
pub use table::{Page, TaskTable};

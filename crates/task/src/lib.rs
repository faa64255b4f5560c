//! The domain of AI Mesh: what a task is, what may be asked of it and how it moves from pending to final.
//!
//! Nothing here does I/O or knows AWS. [`NewTask`] is what a client may submit, [`Task`] what is kept of it,
//! [`Settlement`] the one place that decides what an attempt's outcome means.

mod failure;
mod id;
mod input;
mod output;
mod retry;
mod submission;
mod task;

pub use failure::{Failure, FailureKind, RunError, RunErrorClass, code};
pub use id::{InvalidId, InvalidTenant, SHARDS, TaskId, Tenant};
pub use input::{
    Input, InvalidInput, MAX_INLINE_INPUT_BYTES, MAX_TEXT_BYTES, ObjectRef, Payload, StoredInput,
};
pub use output::{
    BoundingBox, Face, FaceDetection, MAX_RESULT_BYTES, Point, Sentiment, SentimentLabel, TaskResult,
};
pub use retry::{RetryPolicy, Settlement};
pub use submission::{
    InvalidSubmission, MAX_METADATA_BYTES, MAX_METADATA_PAIRS, Metadata, NewTask, SubmissionRefusal,
};
pub use task::{Message, Modality, Status, Task, TaskType, UnknownTaskType};

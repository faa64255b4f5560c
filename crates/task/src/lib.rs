//! The domain of AI Mesh: what a task is, what may be asked of it and how it moves from pending to final.
//!
//! Nothing here does I/O or knows AWS. [`NewTask`] is what a client may submit, [`Task`] what is kept of it. Each of its
//! moves is a conditional [`Write`], made in one place; [`Settlement`] decides what an attempt's outcome means, and
//! [`SweepAction`] what a task needs that has been in flight for long.

mod failure;
mod id;
mod input;
mod lane;
#[cfg(feature = "openapi")]
pub mod openapi;
mod output;
mod report;
mod retry;
mod storable;
mod submission;
mod summary;
mod sweep;
mod task;
mod task_type;
#[cfg(test)]
mod testing;
mod transitions;
mod write;

pub use failure::{Failure, FailureKind, RunError, RunErrorClass, code};
pub use id::{IdRange, InvalidId, InvalidTenant, Shard, TaskId, Tenant};
pub use input::{
    Classify, Content, DEFAULT_LABELS, DEFAULT_SUMMARY_SENTENCES, DataExtraction, Engine, Input,
    InvalidInput, MAX_INLINE_INPUT_BYTES, MAX_LABEL_BYTES, MAX_LABELS, MAX_MEDIA_BYTES, MAX_SCHEMA_BYTES,
    MAX_SUMMARY_SENTENCES, MAX_TEXT_BYTES, MAX_TEXTS, NewUpload, ObjectRef, Parameters, Payload, Size,
    StoredInput, Submitted, Summarize, Translate, UploadId, Uploaded,
};
pub use lane::{Lane, LaneKind, Priority};
pub use output::{
    BoundingBox, Classification, Embeddings, Extraction, Face, FaceDetection, LabelScore, Line,
    MAX_INLINE_RESULT_BYTES, MAX_RESULT_BYTES, Page, Point, Segment, Sentiment, SentimentLabel, Summary,
    TaskResult, Transcript, Translation,
};
pub use report::{ModelName, Report, RunOutput, Timings, Usage};
pub use retry::{
    InvalidPolicies, MAX_ATTEMPTS, MAX_THROTTLES, OwnPolicies, RetryPolicies, RetryPolicy, Settlement,
};
pub use submission::{
    InvalidSubmission, MAX_METADATA_BYTES, MAX_METADATA_PAIRS, MAX_TIMEOUT_SECONDS, Metadata, NewTask,
    SubmissionRefusal,
};
pub use summary::TaskSummary;
pub use sweep::{SweepAction, SweepPolicy};
pub use task::{Attempt, MAX_HISTORY, Message, Outcome, Status, Task, TaskDraft};
pub use task_type::{TaskType, UnknownTaskType, WorkerKind};
pub use transitions::{CLOCK_MARGIN, ClaimRefusal, Finished, Isolation, StoredResult, cancel, claim};
pub use write::{Change, Condition, Field, Item, Write};

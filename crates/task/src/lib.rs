//! The domain of AI Mesh: what a task is, what a client may submit, and how a task gets from pending to final.
//!
//! This crate does no I/O and does not know AWS. Read it in this order:
//!
//! ```text
//! task.rs         what the table stores of a task: Task, Status, Message
//! transitions.rs  every change of a task, each one conditional write; what the fence protects
//! write.rs        a conditional write as data, which the table renders and tests apply in memory
//! retry.rs        what follows from an attempt's outcome, and the back-off before the next attempt
//! sweep.rs        what the sweeper does with a task that has been in flight for long
//! outcome.rs      how an attempt and a task end, in one table
//! error_code.rs   the stable codes of errors; failure.rs has the errors themselves
//! submission.rs   what a client may submit; input/ checks the input of each type; blank.rs says which texts say nothing
//! task_type.rs    the types and their workers; lane.rs chooses the queue
//! filter.rs       which tasks a list contains; summary.rs has what it shows of each
//! output.rs       the result of each type; report.rs how it came about
//! ```

mod blank;
mod error_code;
mod failure;
mod filter;
mod id;
mod input;
mod lane;
#[cfg(feature = "openapi")]
pub mod openapi;
mod outcome;
mod output;
mod report;
mod retry;
mod storable;
mod submission;
mod summary;
mod sweep;
mod task;
mod task_type;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transitions;
mod variants;
mod write;

pub use blank::is_blank;
pub use error_code::{ErrorCode, StoredErrorCode};
pub use failure::{Failure, FailureKind, RunError, RunErrorClass};
pub use filter::TaskFilter;
pub use id::{IdRange, InvalidId, InvalidTenant, Shard, TaskId, Tenant};
pub use input::{
    Classify, Content, DEFAULT_LABELS, DEFAULT_SUMMARY_SENTENCES, DataExtraction, Engine, Input,
    InvalidInput, MAX_INLINE_INPUT_BYTES, MAX_LABEL_BYTES, MAX_LABELS, MAX_MEDIA_BYTES, MAX_SCHEMA_BYTES,
    MAX_SUMMARY_SENTENCES, MAX_TEXT_BYTES, MAX_TEXTS, NewUpload, ObjectRef, Parameters, Payload, Size,
    StoredInput, Submitted, Summarize, Translate, UploadId, Uploaded,
};
pub use lane::{Lane, LaneKind, Priority};
pub use outcome::{Outcome, TaskEnd};
pub use output::{
    BoundingBox, Classification, Embeddings, Extraction, Face, FaceDetection, LabelScore, Line,
    MAX_INLINE_RESULT_BYTES, MAX_RESULT_BYTES, Page, Point, Segment, Sentiment, SentimentLabel, Summary,
    TaskResult, Transcript, Translation,
};
pub use report::{Finished, ModelName, Report, RunOutput, StoredResult, Timings, Usage};
pub use retry::{
    InvalidPolicies, MAX_ATTEMPTS, MAX_THROTTLES, OwnPolicies, RetryPolicies, RetryPolicy, Settlement,
};
pub use submission::{
    InvalidSubmission, MAX_METADATA_BYTES, MAX_METADATA_PAIRS, MAX_TIMEOUT_SECONDS, Metadata, NewTask,
    SubmissionRefusal,
};
pub use summary::TaskSummary;
pub use sweep::{SweepAction, SweepPolicy};
pub use task::{Attempt, MAX_HISTORY, Message, Status, Task, TaskDraft};
pub use task_type::{TaskType, UnknownTaskType, WorkerKind};
pub use transitions::{CLOCK_MARGIN, ClaimRefusal, Isolation, cancel, claim};
pub use variants::by_name;
pub use write::{Change, Condition, Field, Item, Write};

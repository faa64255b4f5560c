//! The API's responses. Parsing ignores fields that this version does not know, because a newer API may add some.
//! Serializing gives the same JSON again, without those fields.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mesh_task::{
    Failure, Metadata, ModelName, Outcome, Priority, Size, Status, TaskId, TaskResult, TaskType, Timings,
    Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A task that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Accepted {
    /// Its name.
    pub id: TaskId,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Where it stands: pending, unless the same was submitted before.
    pub status: Status,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// How much work it is.
    pub size: Size,
    /// How soon it is to run.
    pub priority: Priority,
    /// Where it stands.
    pub status: Status,
    /// Its input, or what its content is.
    pub input: Value,
    /// Where the input's content lies, if it is kept apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_link: Option<Link>,
    /// The sender's own notes.
    pub metadata: Metadata,
    /// The result, once completed, unless it is large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// Where a larger result lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_link: Option<Link>,
    /// Why it failed; while it waits for another attempt, what ended the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Who gave the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// How long that took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// What a language model's provider counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// 1, and one more with every retry or redrive.
    pub generation: u32,
    /// How many attempts of this generation are spent.
    pub attempt: u32,
    /// How many it has.
    pub max_attempts: u32,
    /// How long an attempt may run, where the sender said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// What the functions' logs know it by.
    pub correlation_id: String,
    /// Its last ten attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// While it waits for another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
}

/// Where an input or a large result lies. The address needs no token, and is good for a limited time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Link {
    /// The address.
    pub url: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// Its length.
    pub bytes: u64,
    /// Its media type.
    pub content_type: String,
    /// SHA-256 of its body, in hex.
    pub sha256: String,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Attempt {
    /// The generation it belongs to.
    pub generation: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended; none while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Its error, briefly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct TaskSummary {
    /// Its name.
    pub id: TaskId,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// How much work it is.
    pub size: Size,
    /// How soon it is to run.
    pub priority: Priority,
    /// Where it stands.
    pub status: Status,
    /// The sender's own notes.
    pub metadata: Metadata,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// 1, and one more with every retry or redrive.
    pub generation: u32,
    /// How many attempts of this generation are spent.
    pub attempt: u32,
    /// How many it has.
    pub max_attempts: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// While it waits for another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
}

/// A page of a list. It may be short, or empty, with more to follow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct TaskPage {
    /// Newest first.
    pub tasks: Vec<TaskSummary>,
    /// Where to go on; none at the list's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A page of dead letters. It may be short, or empty, with more to follow.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct DeadLetters {
    /// Newest first.
    pub dead_letters: Vec<Task>,
    /// Where to go on; none at the list's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<TaskId>,
}

/// What a redrive did.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Redriven {
    /// They have new attempts.
    pub redriven: Vec<TaskId>,
    /// They were named and are no dead letters.
    pub skipped: Vec<String>,
    /// Where to go on; none when all is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<TaskId>,
}

/// Changes of the tenant's tasks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Changes {
    /// Oldest first.
    pub changes: Vec<Change>,
    /// From where to follow on.
    pub next: String,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Change {
    /// Its place.
    pub cursor: String,
    /// The task.
    pub id: TaskId,
    /// What it asks for.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// A status, or `removed`.
    pub status: String,
    /// None if the task is new.
    pub previous_status: Option<Status>,
    /// The task's generation.
    pub generation: u32,
    /// The task's attempt.
    pub attempt: u32,
    /// When it happened.
    pub updated_at: Timestamp,
}

/// The tenant's counters.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Stats {
    /// All tasks that are kept.
    pub total: u64,
    /// By status.
    pub by_status: BTreeMap<String, u64>,
    /// By type, then by status.
    pub by_type: BTreeMap<String, BTreeMap<String, u64>>,
    /// What came and went.
    pub per_minute: Flow,
    /// From when tasks could run until they did, in milliseconds.
    pub queue_wait_ms: Percentiles,
    /// How long attempts took, in milliseconds.
    pub run_ms: Percentiles,
    /// What waits, of all tenants.
    pub queues: Vec<QueueDepth>,
    /// When a task last changed.
    pub updated_at: Option<Timestamp>,
}

/// Tasks a minute.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Flow {
    /// Accepted.
    pub submitted: Rates,
    /// Come to their end.
    pub finished: Rates,
}

/// On average over the last 1, 5 and 15 minutes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rates {
    pub last_1: f64,
    pub last_5: f64,
    pub last_15: f64,
}

/// Of the last 15 minutes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Percentiles {
    /// Half of them took no longer.
    pub p50: Option<u64>,
    /// 95 of 100 took no longer.
    pub p95: Option<u64>,
    /// How many there were.
    pub count: u64,
}

/// A queue's messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct QueueDepth {
    /// `text-small`, say.
    pub name: String,
    /// Those that wait.
    pub visible: u64,
    /// Those that a worker has.
    pub in_flight: u64,
    /// Those that rest.
    pub delayed: u64,
}

/// A model of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// The first digits of its file's SHA-256; none of a provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it answers.
    pub task_types: Vec<TaskType>,
    /// Of its weights; none of a provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The function.
    pub runs_in: String,
    /// `onnxruntime`, or whoever runs the language model.
    pub engine: String,
}

/// The worker functions, and over how many minutes it is told what they did.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Workers {
    /// The minutes.
    pub minutes: u64,
    /// One for each function.
    pub workers: Vec<Worker>,
}

/// A worker function.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Worker {
    /// Its name.
    pub name: String,
    /// What Lambda calls it.
    pub function: String,
    /// How many of it may run at once.
    pub limit: u32,
    /// The same for each of its lanes.
    pub limits: BTreeMap<String, u32>,
    /// How many of the tenant's tasks are being run.
    pub running: u64,
    /// The minute of its last batch.
    pub last_seen: Option<Timestamp>,
    /// Tasks that it completed or failed.
    pub processed: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Attempts that another followed.
    pub retried: u64,
    /// Messages in a batch, on average.
    pub mean_batch: Option<f64>,
    /// Environments that were started.
    pub cold_starts: u64,
}

/// Whether the API, and what it needs, answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Health {
    /// `ok` or `failing`.
    pub status: String,
    /// Of a deep check alone.
    #[serde(default)]
    pub checks: Vec<HealthCheck>,
}

/// One thing that the API needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct HealthCheck {
    /// `table`, `bucket` or a queue's name.
    pub name: String,
    /// Whether it answers.
    pub ok: bool,
    /// How long that took.
    pub latency_ms: u64,
    /// The service's name for what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What responds at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResponse {
    pub status: u16,
    /// `None` if the response is not the API's.
    pub health: Option<Health>,
    /// The server's clock from the `Date` header, to the second.
    pub date: Option<Timestamp>,
}

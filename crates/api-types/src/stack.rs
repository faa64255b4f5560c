//! The stack's models, workers and health.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mesh_task::TaskType;
use serde::{Deserialize, Serialize};

/// The models of this stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Models))]
pub struct ModelList {
    pub models: Vec<ModelView>,
}

/// A model that the stack runs, or calls at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Model))]
pub struct ModelView {
    pub name: String,
    /// The first digits of the file's SHA-256. Absent for a provider's model, whose version is reported with each result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub version: Option<String>,
    /// The types of the tasks that the model runs.
    pub task_types: Vec<TaskType>,
    /// The licence of the weights. Absent for a provider's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub licence: Option<String>,
    /// The worker's name, as in `/v1/workers`.
    pub runs_in: String,
    /// `onnxruntime`, or the provider of the language model.
    pub engine: String,
}

/// The worker functions: their limits, and what they did recently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Workers))]
pub struct WorkerList {
    /// The period that the counts of each worker cover, up to now.
    pub minutes: i64,
    pub workers: Vec<WorkerView>,
}

/// A worker function. Its counts come from CloudWatch, and are up to a minute old.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Worker))]
pub struct WorkerView {
    pub name: String,
    /// The name of the Lambda function.
    pub function: String,
    /// How many instances of the function may run at the same time: the sum of `limits`.
    pub limit: u32,
    /// The limit of each lane. Lanes that are switched off are absent.
    pub limits: BTreeMap<String, u32>,
    /// How many of the tenant's tasks are being run.
    pub running: u64,
    /// The minute of the last batch. Null if there was none in the period.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_seen: Option<Timestamp>,
    /// How many tasks were completed or failed.
    pub processed: u64,
    /// How many of the processed tasks failed.
    pub failed: u64,
    /// How many attempts failed and were followed by another.
    pub retried: u64,
    /// The mean number of messages in a batch. Null if there was no batch in the period.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub mean_batch: Option<f64>,
    /// How many instances of the function were started.
    pub cold_starts: u64,
}

/// Whether the API runs. A deep check also reports the services that the API needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok` or `failing`.
    pub status: String,
    /// Present in a deep check only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<HealthCheck>,
}

/// The check of one service that the API needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthCheck {
    /// `table`, `bucket`, or the name of a queue.
    pub name: String,
    /// Whether the service answered without an error.
    pub ok: bool,
    /// How long the answer took, in milliseconds.
    pub latency_ms: u64,
    /// The error code of the service, or that it did not answer. Absent if `ok` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub error: Option<String>,
}

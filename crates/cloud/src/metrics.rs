//! Metrics, each named once: written as lines of the log that CloudWatch makes metrics of (embedded metric format), so
//! that no task pays for a call, and read back for those who watch the workers.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

#[cfg(feature = "metrics")]
mod read;

use std::io::Write;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

#[cfg(feature = "metrics")]
pub use read::{Activity, Metrics};

/// The namespace of all of them.
pub const NAMESPACE: &str = "AIMesh";
/// Their only dimension: the function's name. No task's id is one, since each value of a dimension is billed.
pub const DIMENSION: &str = "FunctionName";

/// What is counted. Each is a sum over what one invocation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Tasks that a worker completed.
    TasksCompleted,
    /// Tasks that a worker failed for good.
    TasksFailed,
    /// Attempts that failed and are followed by another.
    AttemptsRetried,
    /// Messages of a batch; its count is that of the batches.
    BatchSize,
    /// Invocations that were the first of their environment.
    ColdStarts,
}

impl Metric {
    /// Every one of them.
    pub const ALL: [Self; 5] = [
        Self::TasksCompleted,
        Self::TasksFailed,
        Self::AttemptsRetried,
        Self::BatchSize,
        Self::ColdStarts,
    ];

    /// Its name in CloudWatch. All have the unit Count.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TasksCompleted => "TasksCompleted",
            Self::TasksFailed => "TasksFailed",
            Self::AttemptsRetried => "AttemptsRetried",
            Self::BatchSize => "BatchSize",
            Self::ColdStarts => "ColdStarts",
        }
    }
}

/// Writes one line with these metrics of the function that runs. Outside of Lambda there is nothing to write for.
pub fn emit(values: &[(Metric, u32)]) {
    static FUNCTION: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok());
    let Some(function) = &*FUNCTION else { return };
    let line = line(function, values, Timestamp::now());
    // A metric that can't be written is not worth a task.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn line(function: &str, values: &[(Metric, u32)], now: Timestamp) -> Value {
    let metrics = values
        .iter()
        .map(|(metric, _)| json!({ "Name": metric.name(), "Unit": "Count" }));
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [[DIMENSION]],
                "Metrics": metrics.collect::<Vec<_>>(),
            }],
        }),
    );
    line.insert(DIMENSION.to_owned(), json!(function));
    for (metric, value) in values {
        line.insert(metric.name().to_owned(), json!(value));
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_metrics_once_and_has_their_values_beside() {
        let now = "2026-01-31T12:00:00.123Z".parse().unwrap();
        let line = line("worker", &[(Metric::BatchSize, 10), (Metric::ColdStarts, 1)], now);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_769_860_800_123_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "AIMesh", "Dimensions": [["FunctionName"]],
                    "Metrics": [{ "Name": "BatchSize", "Unit": "Count" }, { "Name": "ColdStarts", "Unit": "Count" }],
                }],
            },
            "FunctionName": "worker", "BatchSize": 10, "ColdStarts": 1,
        });
        assert_eq!(line, expected);
    }
}

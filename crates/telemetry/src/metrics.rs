//! The metrics, each named once. They are written as lines of the log in the embedded metric format (EMF), from which
//! CloudWatch makes metrics without a call. docs/METRICS.md says what each is for.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use strum::{IntoStaticStr, VariantArray};

use crate::invocation::{common_fields, function_name};

/// The CloudWatch namespace of all metrics.
pub const NAMESPACE: &str = "AIMesh";
/// The dimension of all metrics: the function's name, which contains the stack's name.
pub const DIMENSION: &str = "FunctionName";
/// The maximum of values that CloudWatch accepts for one metric in one line.
const MAX_VALUES: usize = 100;

/// A metric. CloudWatch bills each value of a dimension as a metric of its own, so ids of tasks, tenants and requests are
/// never dimensions. A rare event is written only when it happened, since an hour without a value costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(const_into_str)]
pub enum Metric {
    /// Tasks that a worker completed.
    TasksCompleted,
    /// Tasks that a worker failed for good.
    TasksFailed,
    /// Attempts that failed and are followed by another.
    AttemptsRetried,
    /// Messages in a batch. Its sample count is the number of batches.
    BatchSize,
    /// Invocations that were the first of their execution environment.
    ColdStarts,
    /// The time from a task's submission, or the end of its previous attempt, to its claim.
    QueueWait,
    /// Settlements that the table refused, since a newer claim held the task or it was cancelled.
    StaleFinishes,
    /// The time that the API took for a request. Its sample count is the number of requests.
    RequestDuration,
    /// 1 for a response with status 5xx, else 0: the average is the error rate.
    ServerErrors,
    /// 1 for a response with status 4xx, else 0.
    ClientErrors,
    /// Scheduled runs of the sweeper that completed.
    JanitorRuns,
    /// Tasks that the sweeper found due.
    OverdueTasks,
    /// Tasks that the sweeper requeued or reclaimed.
    TasksRequeued,
    /// Changes of tasks that the reactor counted.
    ChangesCounted,
    /// Records of the stream that the reactor could not parse.
    RecordsSkipped,
    /// Tasks that became final.
    TasksEnded,
    /// Tasks that failed because their attempts were exhausted or timed out.
    DeadLetters,
}

impl Metric {
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    /// The unit, as CloudWatch names it.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::QueueWait | Self::RequestDuration => "Milliseconds",
            _ => "Count",
        }
    }

    /// The names of its dimensions.
    #[must_use]
    pub const fn dimensions(self) -> &'static [&'static str] {
        match self {
            Self::RequestDuration => &[DIMENSION, "Route"],
            Self::TasksEnded => &[DIMENSION, "TaskType", "Outcome"],
            _ => &[DIMENSION],
        }
    }
}

/// One line of the log in the embedded metric format.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmfRecord {
    values: Vec<(Metric, Vec<u64>)>,
    /// Values of dimensions beside the function's name, and further fields, which CloudWatch ignores.
    properties: Map<String, Value>,
}

impl EmfRecord {
    /// Adds one value of a metric.
    #[must_use]
    pub fn with(self, metric: Metric, value: u64) -> Self {
        self.with_all(metric, vec![value])
    }

    /// Adds a count, unless it is zero: rare events cost nothing in hours without one.
    #[must_use]
    pub fn with_nonzero(self, metric: Metric, count: u64) -> Self {
        if count == 0 {
            self
        } else {
            self.with(metric, count)
        }
    }

    /// Adds several values of a metric. Of more than 100, the first 100 are kept, which is CloudWatch's limit for a line.
    #[must_use]
    pub fn with_all(mut self, metric: Metric, mut values: Vec<u64>) -> Self {
        values.truncate(MAX_VALUES);
        if !values.is_empty() {
            self.values.push((metric, values));
        }
        self
    }

    /// Adds a dimension's value or a further field.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// The values of a metric in this record, if there are any.
    #[must_use]
    pub fn values(&self, metric: Metric) -> Option<&[u64]> {
        let found = self.values.iter().find(|(known, _)| *known == metric);
        found.map(|(_, values)| &**values)
    }

    /// Writes the line to standard output. Outside of Lambda it writes nothing.
    pub fn write(self) {
        let Some(function) = function_name() else { return };
        if self.values.is_empty() {
            return;
        }
        let line = self.line(function, common_fields(), Timestamp::now());
        // No task may fail because a metric can't be written.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }

    fn line(self, function: &str, head: Map<String, Value>, now: Timestamp) -> Value {
        let mut directives: Vec<(&[&str], Vec<Value>)> = Vec::new();
        for (metric, _) in &self.values {
            let named = json!({ "Name": metric.name(), "Unit": metric.unit() });
            match directives
                .iter_mut()
                .find(|(dimensions, _)| *dimensions == metric.dimensions())
            {
                Some((_, metrics)) => metrics.push(named),
                None => directives.push((metric.dimensions(), vec![named])),
            }
        }
        let directives = directives.into_iter().map(|(dimensions, metrics)| {
            json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics })
        });
        let mut line = head;
        line.insert("level".to_owned(), json!("INFO"));
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": directives.collect::<Vec<_>>(),
            }),
        );
        line.insert(DIMENSION.to_owned(), json!(function));
        line.extend(self.properties);
        for (metric, values) in self.values {
            let value = match values[..] {
                [value] => json!(value),
                _ => json!(values),
            };
            line.insert(metric.name().to_owned(), value);
        }
        Value::Object(line)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_record_groups_its_metrics_by_dimensions_and_contains_their_values() {
        let now = "2026-01-31T12:00:00.123Z".parse().unwrap();
        let record = EmfRecord::default()
            .with(Metric::ServerErrors, 0)
            .with_all(Metric::RequestDuration, vec![12, 7])
            .with_nonzero(Metric::ClientErrors, 0)
            .with_nonzero(Metric::ColdStarts, 1)
            .property("Route", "GET /v1/tasks")
            .property("status", 200);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_769_860_800_123_u64,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "AIMesh", "Dimensions": [["FunctionName"]],
                        "Metrics": [{ "Name": "ServerErrors", "Unit": "Count" }, { "Name": "ColdStarts", "Unit": "Count" }],
                    },
                    {
                        "Namespace": "AIMesh", "Dimensions": [["FunctionName", "Route"]],
                        "Metrics": [{ "Name": "RequestDuration", "Unit": "Milliseconds" }],
                    },
                ],
            },
            "level": "INFO", "FunctionName": "api", "Route": "GET /v1/tasks", "status": 200,
            "ServerErrors": 0, "ColdStarts": 1, "RequestDuration": [12, 7],
        });
        assert_eq!(record.line("api", Map::new(), now), expected);
    }

    /// The rows of the page's tables that begin with a metric's name: name, unit and dimensions.
    fn documented() -> BTreeSet<(String, String, String)> {
        let row = |line: &str| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let mut cell = || {
                cells
                    .next()
                    .map(|cell| cell.trim_matches(['`', ' ', '|']).to_owned())
            };
            Some((cell()?, cell()?, cell()?))
        };
        include_str!("../../../docs/METRICS.md")
            .lines()
            .filter_map(row)
            .collect()
    }

    #[test]
    fn the_page_documents_every_metric_and_no_other() {
        let emitted = Metric::VARIANTS.iter().map(|metric| {
            let dimensions = metric.dimensions().join(", ");
            (metric.name().to_owned(), metric.unit().to_owned(), dimensions)
        });
        assert_eq!(documented(), emitted.collect::<BTreeSet<_>>());
    }
    /// The parts of a text between each `before` and the next `after`.
    fn named<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before)
            .skip(1)
            .filter_map(move |rest| rest.split(after).next())
    }

    #[test]
    fn alarms_and_dashboards_read_every_metric_and_no_other() {
        let stack = include_str!("../../../infra/observability.yaml");
        let grafana = include_str!("../../../infra/grafana/ai-mesh.json");
        let of_ours = |text: &'static str| text.lines().filter(|line| line.contains("{AIMesh,"));
        let searched = |text| of_ours(text).flat_map(|line| named(line, r#"MetricName=\""#, r#"\""#));
        let queried: Vec<_> = named(stack, "Namespace: AIMesh\n      MetricName: ", "\n")
            .chain(named(stack, r#"["AIMesh", ""#, "\""))
            .chain(searched(stack))
            .chain(searched(grafana))
            .collect();
        for name in &queried {
            assert!(
                Metric::VARIANTS.iter().any(|metric| metric.name() == *name),
                "{name}"
            );
        }
        for metric in Metric::VARIANTS {
            assert!(
                queried.contains(&metric.name()),
                "no alarm or dashboard reads {}",
                metric.name()
            );
        }
    }
}

//! Metrics, each named once: written as lines of the log that CloudWatch makes metrics of (embedded metric format), so
//! that no task pays for a call, and read back for those who watch the workers. docs/METRICS.md says what each is for.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::invocation::{common_fields, function_name};

/// The namespace of all of them.
pub const NAMESPACE: &str = "AIMesh";
/// The dimension that all have: the function's name, which is its stack's too.
pub const DIMENSION: &str = "FunctionName";
/// The most values of one metric that CloudWatch takes of one line.
const MAX_VALUES: usize = 100;

/// What is measured. Each value of a dimension is billed as a metric of its own, so no task's, tenant's or request's id is
/// one; and what rarely happens is written only when it did, since an hour without a value costs nothing.
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
    /// How long an attempt waited for its worker.
    QueueWait,
    /// Ends that were refused, since a newer claim held the task or it was cancelled.
    StaleFinishes,
    /// How long the api took for a request. Its count is that of the requests.
    RequestDuration,
    /// 1 for a request that failed by our fault, else 0: its average is the error rate.
    ServerErrors,
    /// 1 for a request that was refused, else 0.
    ClientErrors,
    /// Scheduled runs of the janitor that came to their end.
    JanitorRuns,
    /// Tasks that the janitor found due.
    OverdueTasks,
    /// Tasks that the janitor rang for again or took back.
    TasksRequeued,
    /// Changes of tasks that the reactor counted.
    ChangesCounted,
    /// Records of the stream that the reactor could not read.
    RecordsSkipped,
    /// Tasks that came to their end.
    TasksEnded,
    /// Those of them that failed when all attempts were spent.
    DeadLetters,
}

impl Metric {
    /// Every one of them.
    pub const ALL: [Self; 17] = [
        Self::TasksCompleted,
        Self::TasksFailed,
        Self::AttemptsRetried,
        Self::BatchSize,
        Self::ColdStarts,
        Self::QueueWait,
        Self::StaleFinishes,
        Self::RequestDuration,
        Self::ServerErrors,
        Self::ClientErrors,
        Self::JanitorRuns,
        Self::OverdueTasks,
        Self::TasksRequeued,
        Self::ChangesCounted,
        Self::RecordsSkipped,
        Self::TasksEnded,
        Self::DeadLetters,
    ];

    /// Its name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TasksCompleted => "TasksCompleted",
            Self::TasksFailed => "TasksFailed",
            Self::AttemptsRetried => "AttemptsRetried",
            Self::BatchSize => "BatchSize",
            Self::ColdStarts => "ColdStarts",
            Self::QueueWait => "QueueWait",
            Self::StaleFinishes => "StaleFinishes",
            Self::RequestDuration => "RequestDuration",
            Self::ServerErrors => "ServerErrors",
            Self::ClientErrors => "ClientErrors",
            Self::JanitorRuns => "JanitorRuns",
            Self::OverdueTasks => "OverdueTasks",
            Self::TasksRequeued => "TasksRequeued",
            Self::ChangesCounted => "ChangesCounted",
            Self::RecordsSkipped => "RecordsSkipped",
            Self::TasksEnded => "TasksEnded",
            Self::DeadLetters => "DeadLetters",
        }
    }

    /// Its unit, in CloudWatch's words.
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

/// A line of metrics of the function that runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmfRecord {
    values: Vec<(Metric, Vec<u64>)>,
    /// Dimensions beside the function's name, and what else the line tells: that is for the log alone.
    properties: Map<String, Value>,
}

impl EmfRecord {
    /// With one value of a metric.
    #[must_use]
    pub fn with(self, metric: Metric, value: u64) -> Self {
        self.with_all(metric, vec![value])
    }

    /// With a value of a metric that is only worth a line, and its price, if there is something to count.
    #[must_use]
    pub fn with_nonzero(self, metric: Metric, count: u64) -> Self {
        if count == 0 {
            self
        } else {
            self.with(metric, count)
        }
    }

    /// With some values of a metric; of very many, the first hundred stand for all.
    #[must_use]
    pub fn with_all(mut self, metric: Metric, mut values: Vec<u64>) -> Self {
        values.truncate(MAX_VALUES);
        if !values.is_empty() {
            self.values.push((metric, values));
        }
        self
    }

    /// With a dimension's value, or something else that the log shall tell.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// The values of a metric, if it has any.
    #[must_use]
    pub fn values(&self, metric: Metric) -> Option<&[u64]> {
        let found = self.values.iter().find(|(known, _)| *known == metric);
        found.map(|(_, values)| &**values)
    }

    /// Writes the line. Outside of Lambda there is nothing to write for.
    pub fn write(self) {
        let Some(function) = function_name() else { return };
        if self.values.is_empty() {
            return;
        }
        let line = self.line(function, common_fields(), Timestamp::now());
        // A metric that can't be written is not worth a task.
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
    fn a_line_names_its_metrics_by_their_dimensions_and_has_their_values_beside() {
        let now = "2026-01-31T12:00:00.123Z".parse().unwrap();
        let measured = EmfRecord::default()
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
        assert_eq!(measured.line("api", Map::new(), now), expected);
    }

    /// The rows of the document's tables that begin with a metric's name: name, unit and dimensions.
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
    fn the_document_names_what_is_emitted_and_nothing_else() {
        let emitted = Metric::ALL.map(|metric| {
            let dimensions = metric.dimensions().join(", ");
            (metric.name().to_owned(), metric.unit().to_owned(), dimensions)
        });
        assert_eq!(documented(), BTreeSet::from(emitted));
    }
    /// The names of our metrics in a text, each found between these two.
    fn named<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before)
            .skip(1)
            .filter_map(move |rest| rest.split(after).next())
    }

    #[test]
    fn alarms_and_dashboards_ask_for_no_other_metrics() {
        let stack = include_str!("../../../infra/observability.yaml");
        let grafana = include_str!("../../../infra/grafana/ai-mesh.json");
        let of_ours = |text: &'static str| text.lines().filter(|line| line.contains("{AIMesh,"));
        let searched = |text| of_ours(text).flat_map(|line| named(line, r#"MetricName=\""#, r#"\""#));
        let asked: Vec<_> = named(stack, "Namespace: AIMesh\n      MetricName: ", "\n")
            .chain(named(stack, r#"["AIMesh", ""#, "\""))
            .chain(searched(stack))
            .chain(searched(grafana))
            .collect();
        for name in &asked {
            assert!(Metric::ALL.iter().any(|metric| metric.name() == *name), "{name}");
        }
        for metric in Metric::ALL {
            assert!(
                asked.contains(&metric.name()),
                "nobody looks at {}",
                metric.name()
            );
        }
    }
}

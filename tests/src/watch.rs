//! The stack's logs, metrics and alarms in CloudWatch.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{ComparisonOperator, Datapoint, Dimension, MetricAlarm, Statistic};
use jiff::{SignedDuration, Timestamp};
use mesh_telemetry::{Metric, NAMESPACE};
use serde_json::Value;

use crate::Cloud;

/// How far back metrics are read.
const METRIC_WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// In seconds: the shortest period of a metric without high resolution.
const PERIOD: i32 = 60;

impl Cloud {
    /// The api's log entries about a task whose field `event` is this. The local cloud's own log, which
    /// [`crate::log_events`] reads, has only the lines of functions that queues, streams or schedules invoke.
    ///
    /// # Panics
    /// When CloudWatch does not answer.
    pub fn api_log_events(&self, event: &str, task_id: &str) -> Vec<Value> {
        let entries = self.api_log();
        let entries = entries
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries
            .filter(|entry| entry["event"] == event && entry["task_id"] == task_id)
            .collect()
    }

    /// Whether a line of the api's log contains this text.
    ///
    /// # Panics
    /// When CloudWatch does not answer.
    pub fn api_log_contains(&self, text: &str) -> bool {
        self.api_log().iter().any(|line| line.contains(text))
    }

    fn api_log(&self) -> Vec<String> {
        let client = aws_sdk_cloudwatchlogs::Client::new(self.config());
        let groups = client.describe_log_groups().log_group_name_prefix("/aws/lambda/");
        let groups = self
            .block_on(groups.send())
            .expect("there are log groups")
            .log_groups;
        let names = groups
            .into_iter()
            .flatten()
            .filter_map(|group| group.log_group_name);
        let name = names.into_iter().find(|name| name.ends_with("/api"));
        // The local cloud returns 10,000 events and no further page, so only this test's own time is requested.
        let since = crate::log::started_at();
        let filter = client
            .filter_log_events()
            .set_log_group_name(name)
            .start_time(since.as_millisecond());
        let pages = filter.into_paginator().send().try_collect();
        let pages: Vec<_> = self.block_on(pages).expect("the log can be read");
        let events = pages.into_iter().filter_map(|page| page.events).flatten();
        events.filter_map(|event| event.message).collect()
    }

    /// The number of samples of a metric in the last hour, and their sum.
    ///
    /// # Panics
    /// When CloudWatch does not answer.
    pub fn metric_samples(&self, metric: Metric, dimensions: &[(&str, &str)]) -> (f64, f64) {
        let dimension = |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
        let points = self.statistics(
            NAMESPACE,
            metric.name(),
            dimensions.iter().map(dimension).collect(),
            PERIOD,
        );
        let sum = |statistic: fn(&Datapoint) -> Option<f64>| points.iter().filter_map(statistic).sum();
        (sum(|point| point.sample_count), sum(|point| point.sum))
    }

    /// The alarms on a metric of our own.
    ///
    /// # Panics
    /// When CloudWatch does not answer.
    pub fn alarms(&self, metric: Metric) -> Vec<MetricAlarm> {
        let describe = Client::new(self.config()).describe_alarms();
        let alarms = self
            .block_on(describe.send())
            .expect("CloudWatch lists its alarms");
        let mut alarms = alarms.metric_alarms.unwrap_or_default();
        alarms.retain(|alarm| alarm.metric_name() == Some(metric.name()));
        alarms
    }

    /// Whether the metric has breached the alarm's threshold in the last hour. The local cloud does not evaluate alarms, so
    /// this evaluates those of one kind: a sum that is above the threshold in a single period.
    ///
    /// # Panics
    /// When the alarm is of another kind, or CloudWatch does not answer.
    #[track_caller]
    pub fn breaches(&self, alarm: &MetricAlarm) -> bool {
        assert_eq!(
            alarm.comparison_operator(),
            Some(&ComparisonOperator::GreaterThanThreshold),
            "{alarm:?}"
        );
        assert_eq!(alarm.evaluation_periods(), Some(1), "{alarm:?}");
        assert_eq!(alarm.datapoints_to_alarm(), Some(1), "{alarm:?}");
        assert_eq!(alarm.statistic(), Some(&Statistic::Sum), "{alarm:?}");
        let points = self.statistics(
            alarm.namespace().expect("the alarm names a namespace"),
            alarm.metric_name().expect("the alarm names a metric"),
            alarm.dimensions().to_vec(),
            alarm.period().expect("the alarm has a period"),
        );
        let threshold = alarm.threshold().expect("the alarm has a threshold");
        points
            .iter()
            .filter_map(|point| point.sum)
            .any(|sum| sum > threshold)
    }

    /// The data points of a metric in the last hour, each with its sum and its number of samples.
    fn statistics(
        &self,
        namespace: &str,
        metric: &str,
        dimensions: Vec<Dimension>,
        period: i32,
    ) -> Vec<Datapoint> {
        let now = Timestamp::now();
        let get = Client::new(self.config())
            .get_metric_statistics()
            .namespace(namespace)
            .metric_name(metric)
            .set_dimensions(Some(dimensions))
            .start_time(DateTime::from_secs((now - METRIC_WINDOW).as_second()))
            // Beyond now, so that the current period is included.
            .end_time(DateTime::from_secs(now.as_second() + i64::from(period)))
            .period(period)
            .statistics(Statistic::SampleCount)
            .statistics(Statistic::Sum);
        let got = self.block_on(get.send()).expect("CloudWatch has statistics");
        got.datapoints.unwrap_or_default()
    }
}

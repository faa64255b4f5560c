//! The stack's logs, metrics and alarms, as CloudWatch tells them.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricAlarm, Statistic};
use jiff::{SignedDuration, Timestamp};
use mesh_telemetry::{Metric, NAMESPACE};
use serde_json::Value;

use crate::Cloud;

/// How far back the log is read: a test reads what it has just caused.
const LOOKBACK: SignedDuration = SignedDuration::from_mins(5);
/// How far back metrics are read.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

impl Cloud {
    /// The entries of the api's log whose line holds all of these words. The local cloud's own log, which [`crate::logged`]
    /// reads, has only what queues and streams set off.
    ///
    /// # Panics
    /// When CloudWatch does not answer.
    pub fn logged_by_api(&self, words: &[&str]) -> Vec<Value> {
        let client = aws_sdk_cloudwatchlogs::Client::new(self.config());
        let groups = client.describe_log_groups().log_group_name_prefix("/aws/lambda/");
        let groups = self.wait(groups.send()).expect("there are log groups").log_groups;
        let names = groups
            .into_iter()
            .flatten()
            .filter_map(|group| group.log_group_name);
        let name = names.into_iter().find(|name| name.ends_with("/api"));
        let since = Timestamp::now() - LOOKBACK;
        let filter = client
            .filter_log_events()
            .set_log_group_name(name)
            .start_time(since.as_millisecond());
        let pages = filter.into_paginator().send().try_collect();
        let pages: Vec<_> = self.wait(pages).expect("the log can be read");
        let events = pages.into_iter().filter_map(|page| page.events).flatten();
        let lines = events.filter_map(|event| event.message);
        lines
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .filter_map(|line| serde_json::from_str(&line).ok())
            .collect()
    }

    /// How many values of a metric there were of late, and their sum.
    ///
    /// # Panics
    /// When CloudWatch does not answer.
    pub fn measured(&self, metric: Metric, dimensions: &[(&str, &str)]) -> (f64, f64) {
        let dimension = |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
        let now = Timestamp::now();
        let get = Client::new(self.config())
            .get_metric_statistics()
            .namespace(NAMESPACE)
            .metric_name(metric.name())
            .set_dimensions(Some(dimensions.iter().map(dimension).collect()))
            .start_time(DateTime::from_secs((now - WINDOW).as_second()))
            .end_time(DateTime::from_secs(now.as_second() + 60))
            .period(60)
            .statistics(Statistic::SampleCount)
            .statistics(Statistic::Sum);
        let got = self.wait(get.send()).expect("CloudWatch tells statistics");
        let points = got.datapoints.unwrap_or_default();
        let sum =
            |of: fn(&aws_sdk_cloudwatch::types::Datapoint) -> Option<f64>| points.iter().filter_map(of).sum();
        (sum(|point| point.sample_count), sum(|point| point.sum))
    }

    /// The alarms on a metric of ours.
    ///
    /// # Panics
    /// When CloudWatch does not answer.
    pub fn alarms(&self, metric: Metric) -> Vec<MetricAlarm> {
        let describe = Client::new(self.config()).describe_alarms();
        let alarms = self.wait(describe.send()).expect("CloudWatch tells of alarms");
        let mut alarms = alarms.metric_alarms.unwrap_or_default();
        alarms.retain(|alarm| alarm.metric_name() == Some(metric.name()));
        alarms
    }
}

//! The stack's metrics and alarms, as CloudWatch tells them.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricAlarm, Statistic};
use jiff::{SignedDuration, Timestamp};
use mesh_cloud::{Metric, NAMESPACE};

use crate::Cloud;

/// How far back is looked.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

impl Cloud {
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

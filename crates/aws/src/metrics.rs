//! The workers' metrics, read from CloudWatch.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric as SdkMetric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy,
};
use jiff::Timestamp;
use mesh_backend::{Activity, BackendError, BackendFuture, WorkerMetrics};
use mesh_telemetry::{DIMENSION, Metric, NAMESPACE};
use tokio::sync::OnceCell;

use crate::error::from_sdk;

const CALL: &str = "GetMetricData";
/// The period of the data points.
const PERIOD: Duration = Duration::from_mins(1);
/// The metrics of a worker's activity.
const ACTIVITY_METRICS: [Metric; 5] = [
    Metric::TasksCompleted,
    Metric::TasksFailed,
    Metric::AttemptsRetried,
    Metric::BatchSize,
    Metric::ColdStarts,
];
/// The number of batches: the sample count of a metric that each batch has one value of.
const BATCHES: (Metric, &str) = (Metric::BatchSize, "SampleCount");

/// Reads metrics. The client is made at the first read, since few environments ever read any.
#[derive(Debug)]
pub struct Metrics {
    config: SdkConfig,
    client: OnceCell<Client>,
}

impl Metrics {
    /// A reader that makes its client from `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            config: config.clone(),
            client: OnceCell::new(),
        }
    }

    /// It makes one call, and AWS bills six metrics for each function.
    async fn read(
        &self,
        functions: &[&str],
        minutes: i64,
        now: Timestamp,
    ) -> Result<Vec<Activity>, BackendError> {
        let queries = functions
            .iter()
            .enumerate()
            .flat_map(|(place, function)| queries(place, function));
        let client = self.client.get_or_init(async || Client::new(&self.config)).await;
        let get = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.collect()))
            .start_time(DateTime::from_secs(now.as_second() - 60 * minutes))
            .end_time(DateTime::from_secs(now.as_second() + 60))
            .scan_by(ScanBy::TimestampDescending);
        let got = get.send().await.map_err(from_sdk(CALL))?;
        let mut activities = vec![Activity::default(); functions.len()];
        for result in got.metric_data_results.unwrap_or_default() {
            note(&mut activities, &result);
        }
        Ok(activities)
    }
}

impl WorkerMetrics for Metrics {
    fn activity<'a>(
        &'a self,
        names: &'a [&'a str],
        minutes: i64,
        now: Timestamp,
    ) -> BackendFuture<'a, Vec<Activity>> {
        Box::pin(self.read(names, minutes, now))
    }
}

/// A query for each metric, and one for the number of batches. Its id names function and metric: `f0m3`.
fn queries(place: usize, function: &str) -> impl Iterator<Item = MetricDataQuery> {
    let metrics = ACTIVITY_METRICS
        .map(|metric| (metric, "Sum"))
        .into_iter()
        .chain([BATCHES]);
    metrics.enumerate().map(move |(number, (metric, statistic))| {
        let dimension = Dimension::builder().name(DIMENSION).value(function).build();
        let metric = SdkMetric::builder()
            .namespace(NAMESPACE)
            .metric_name(metric.name())
            .dimensions(dimension)
            .build();
        let period = i32::try_from(PERIOD.as_secs()).unwrap_or(i32::MAX);
        let stat = MetricStat::builder()
            .metric(metric)
            .period(period)
            .stat(statistic)
            .build();
        MetricDataQuery::builder()
            .id(format!("f{place}m{number}"))
            .metric_stat(stat)
            .build()
    })
}

fn note(activities: &mut [Activity], result: &MetricDataResult) {
    let id = result.id().and_then(|id| id.strip_prefix('f')?.split_once('m'));
    let Some((place, number)) =
        id.and_then(|(place, number)| Some((place.parse().ok()?, number.parse().ok()?)))
    else {
        return;
    };
    let Some(activity) = activities.get_mut::<usize>(place) else {
        return;
    };
    // CloudWatch returns counts as floating-point numbers.
    let sum = result.values().iter().sum::<f64>().max(0.0).round() as u64;
    match ACTIVITY_METRICS.get::<usize>(number) {
        Some(Metric::TasksCompleted) => activity.completed = sum,
        Some(Metric::TasksFailed) => activity.failed = sum,
        Some(Metric::AttemptsRetried) => activity.retried = sum,
        Some(Metric::BatchSize) => {
            activity.messages = sum;
            let newest = result.timestamps().iter().map(DateTime::secs).max();
            activity.last_seen = newest.and_then(|seconds| Timestamp::from_second(seconds).ok());
        }
        Some(_) => activity.cold_starts = sum,
        None => activity.batches = sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_is_assigned_to_its_function_and_metric() {
        let ids: Vec<_> = queries(1, "b").filter_map(|query| query.id).collect();
        assert_eq!(ids, ["f1m0", "f1m1", "f1m2", "f1m3", "f1m4", "f1m5"]);
        let mut activities = vec![Activity::default(); 2];
        for (number, id) in ids.iter().enumerate() {
            let result = MetricDataResult::builder()
                .id(id)
                .values(number as f64)
                .values(1.0)
                .timestamps(DateTime::from_secs(60))
                .timestamps(DateTime::from_secs(0));
            note(&mut activities, &result.build());
        }
        let expected = Activity {
            completed: 1,
            failed: 2,
            retried: 3,
            messages: 4,
            cold_starts: 5,
            batches: 6,
            last_seen: Timestamp::from_second(60).ok(),
        };
        assert_eq!(activities, [Activity::default(), expected]);
        for id in ["", "x", "f9m0", "f0", "fm"] {
            note(
                &mut activities,
                &MetricDataResult::builder().id(id).values(7.0).build(),
            );
        }
        assert_eq!(activities, [Activity::default(), expected]);
    }
}

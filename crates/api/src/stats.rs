//! `GET /v1/stats`: how many tasks there are, how fast they come and go, and what waits in the queues. It reads one item and
//! asks each queue, however many tasks there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use mesh_aws::AwsError;
use mesh_http::Problem;
use mesh_stats::{Flow, Histogram, TenantCounters};
use mesh_task::{Status, TaskType, Tenant};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Api;

/// Over how many minutes percentiles are told.
const LAST: u32 = 15;

/// How many tasks there are, how fast they come and go, and what waits in the queues.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stats {
    total: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_status: ByStatus,
    #[schema(value_type = BTreeMap<String, BTreeMap<String, u64>>)]
    by_type: BTreeMap<&'static str, ByStatus>,
    per_minute: PerMinute,
    queue_wait_ms: Percentiles,
    run_ms: Percentiles,
    queues: Vec<QueueView>,
    #[schema(required)]
    updated_at: Option<Timestamp>,
}

type ByStatus = BTreeMap<&'static str, u64>;

#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct PerMinute {
    submitted: Rates,
    finished: Rates,
}

/// Tasks a minute, on average over the last 1, 5 and 15 minutes.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Rates {
    last_1: f64,
    last_5: f64,
    last_15: f64,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Percentiles {
    #[schema(required)]
    p50: Option<u64>,
    #[schema(required)]
    p95: Option<u64>,
    count: u64,
}

/// Of all tenants' tasks: queues are shared.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueDepth)]
struct QueueView {
    name: String,
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

/// Answers with the tenant's counters, and the queues as SQS counts them.
#[utoipa::path(
    get,
    path = "/v1/stats",
    tag = "operations",
    operation_id = "show_stats",
    responses((status = 200, description = "The counters.", body = Stats)),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
) -> Result<Json<Stats>, Problem> {
    let queues = try_join_all(api.queues.each().map(async |(lane, queue)| {
        let depth = queue.depth().await?;
        Ok::<_, AwsError>(QueueView {
            name: lane.to_string(),
            visible: depth.visible,
            in_flight: depth.in_flight,
            delayed: depth.delayed,
        })
    }));
    let (book, queues) = tokio::join!(api.stats.counters(&tenant), queues);
    Ok(Json(Stats::of(&book?, queues?, Timestamp::now())))
}

impl Stats {
    fn of(book: &TenantCounters, queues: Vec<QueueView>, now: Timestamp) -> Self {
        // A count below zero is one that was not begun at the table's beginning: to a reader it is nothing.
        let count = |task_type, status| u64::try_from(book.counts.of(task_type, status)).unwrap_or(0);
        let by_status = Status::ALL.map(|status| {
            let of_type = TaskType::ALL.map(|task_type| count(task_type, status));
            (status.as_str(), of_type.into_iter().sum())
        });
        let by_type = TaskType::ALL.into_iter().filter_map(|task_type| {
            let counts = Status::ALL.map(|status| (status.as_str(), count(task_type, status)));
            let is_used = counts.iter().any(|(_, count)| *count > 0);
            is_used.then(|| (task_type.as_str(), ByStatus::from(counts)))
        });
        let last = book.minutes.flow(LAST, now);
        Self {
            total: by_status.iter().map(|(_, count)| count).sum(),
            by_status: by_status.into(),
            by_type: by_type.collect(),
            per_minute: PerMinute {
                submitted: Rates::of(book, now, |flow| flow.submitted),
                finished: Rates::of(book, now, |flow| flow.finished),
            },
            queue_wait_ms: Percentiles::of(&last.queue_wait),
            run_ms: Percentiles::of(&last.run),
            queues,
            updated_at: (book.last > 0).then_some(book.latest.at),
        }
    }
}

impl Rates {
    fn of(book: &TenantCounters, now: Timestamp, what: impl Fn(&Flow) -> u64) -> Self {
        // To a hundredth: more would be noise.
        let rate = |minutes: u32| {
            let hundredths = what(&book.minutes.flow(minutes, now)) * 100 / u64::from(minutes);
            hundredths as f64 / 100.0
        };
        Self {
            last_1: rate(1),
            last_5: rate(5),
            last_15: rate(15),
        }
    }
}

impl Percentiles {
    fn of(histogram: &Histogram) -> Self {
        Self {
            p50: histogram.percentile(50),
            p95: histogram.percentile(95),
            count: histogram.count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tenant_without_tasks_is_told_zeros() {
        let stats = Stats::of(&TenantCounters::default(), Vec::new(), Timestamp::now());
        let told = serde_json::to_value(stats).unwrap();
        let zeros = json!({ "blocked": 0, "pending": 0, "processing": 0, "completed": 0, "failed": 0, "cancelled": 0 });
        assert_eq!((&told["total"], &told["by_status"]), (&json!(0), &zeros));
        assert_eq!(
            (&told["by_type"], &told["updated_at"]),
            (&json!({}), &json!(null))
        );
        assert_eq!(told["run_ms"], json!({ "p50": null, "p95": null, "count": 0 }));
    }

    #[test]
    fn types_add_up_to_the_whole_and_nothing_is_below_zero() {
        let mut book = TenantCounters::default();
        book.counts.add(TaskType::Ocr, Status::Pending, 2);
        book.counts.add(TaskType::Embed, Status::Pending, 3);
        book.counts.add(TaskType::Embed, Status::Completed, -1);
        let told = serde_json::to_value(Stats::of(&book, Vec::new(), Timestamp::now())).unwrap();
        assert_eq!(
            (&told["total"], &told["by_status"]["pending"]),
            (&json!(5), &json!(5))
        );
        assert_eq!(told["by_type"]["embed"]["pending"], json!(3));
        assert_eq!(told["by_status"]["completed"], json!(0));
    }
}

//! `GET /v1/stats`: how many tasks there are, how fast they come and go, and what waits in the queues. A request reads one
//! item and the attributes of each queue, however many tasks there are.

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

use crate::state::ApiState;

/// The period of the percentiles.
const PERCENTILE_MINUTES: u32 = 15;

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

/// The messages of a queue, which all tenants share.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueDepth)]
struct QueueView {
    name: String,
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

/// Shows the tenant's counters and the length of the queues. SQS counts messages approximately.
#[utoipa::path(
    get,
    path = "/stats",
    tag = "operations",
    operation_id = "show_stats",
    responses((status = 200, description = "The counters.", body = Stats)),
)]
pub(crate) async fn show(
    State(api): State<Arc<ApiState>>,
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
    let (counters, queues) = tokio::join!(api.stats.counters(&tenant), queues);
    Ok(Json(Stats::new(&counters?, queues?, Timestamp::now())))
}

/// How many tasks of a type have a status. A count may be below zero if it was begun after the table: it is reported as 0.
fn count(counters: &TenantCounters, task_type: TaskType, status: Status) -> u64 {
    u64::try_from(counters.counts.of(task_type, status)).unwrap_or(0)
}

/// How many tasks have each status.
pub(crate) fn count_by_status(counters: &TenantCounters) -> [(Status, u64); Status::ALL.len()] {
    Status::ALL.map(|status| {
        let of_type = TaskType::ALL.map(|task_type| count(counters, task_type, status));
        (status, of_type.into_iter().sum())
    })
}

impl Stats {
    fn new(counters: &TenantCounters, queues: Vec<QueueView>, now: Timestamp) -> Self {
        let by_status = count_by_status(counters).map(|(status, count)| (status.as_str(), count));
        let by_type = TaskType::ALL.into_iter().filter_map(|task_type| {
            let counts = Status::ALL.map(|status| (status.as_str(), count(counters, task_type, status)));
            let is_used = counts.iter().any(|(_, count)| *count > 0);
            is_used.then(|| (task_type.as_str(), ByStatus::from(counts)))
        });
        let last = counters.minutes.flow(PERCENTILE_MINUTES, now);
        Self {
            total: by_status.iter().map(|(_, count)| count).sum(),
            by_status: by_status.into(),
            by_type: by_type.collect(),
            per_minute: PerMinute {
                submitted: Rates::new(counters, now, |flow| flow.submitted),
                finished: Rates::new(counters, now, |flow| flow.finished),
            },
            queue_wait_ms: Percentiles::new(&last.queue_wait),
            run_ms: Percentiles::new(&last.run),
            queues,
            updated_at: (counters.last > 0).then_some(counters.latest.at),
        }
    }
}

impl Rates {
    fn new(counters: &TenantCounters, now: Timestamp, what: impl Fn(&Flow) -> u64) -> Self {
        // Rounded down to hundredths: more digits would be noise.
        let rate = |minutes: u32| {
            let hundredths = what(&counters.minutes.flow(minutes, now)) * 100 / u64::from(minutes);
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
    fn new(histogram: &Histogram) -> Self {
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
    fn a_tenant_without_tasks_has_zeros() {
        let stats = Stats::new(&TenantCounters::default(), Vec::new(), Timestamp::now());
        let shown = serde_json::to_value(stats).unwrap();
        let zeros = json!({ "blocked": 0, "pending": 0, "processing": 0, "completed": 0, "failed": 0, "cancelled": 0 });
        assert_eq!((&shown["total"], &shown["by_status"]), (&json!(0), &zeros));
        assert_eq!(
            (&shown["by_type"], &shown["updated_at"]),
            (&json!({}), &json!(null))
        );
        assert_eq!(shown["run_ms"], json!({ "p50": null, "p95": null, "count": 0 }));
    }

    #[test]
    fn types_add_up_to_the_total_and_no_count_is_below_zero() {
        let mut counters = TenantCounters::default();
        counters.counts.add(TaskType::Ocr, Status::Pending, 2);
        counters.counts.add(TaskType::Embed, Status::Pending, 3);
        counters.counts.add(TaskType::Embed, Status::Completed, -1);
        let shown = serde_json::to_value(Stats::new(&counters, Vec::new(), Timestamp::now())).unwrap();
        assert_eq!(
            (&shown["total"], &shown["by_status"]["pending"]),
            (&json!(5), &json!(5))
        );
        assert_eq!(shown["by_type"]["embed"]["pending"], json!(3));
        assert_eq!(shown["by_status"]["completed"], json!(0));
    }
}

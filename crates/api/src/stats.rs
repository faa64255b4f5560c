//! `GET /v1/stats`: how many tasks there are, how fast they come and go, and what waits in the queues. A request reads one
//! item and the attributes of each queue, however many tasks there are.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use mesh_api_types::{PerMinute, Percentiles, QueueDepth, Rates, StatsResponse, StatusCounts};
use mesh_backend::BackendError;
use mesh_http::Problem;
use mesh_stats::{Flow, Histogram, TenantCounters};
use mesh_task::{Status, TaskType, Tenant};

use crate::state::ApiState;

/// The period of the percentiles.
const PERCENTILE_MINUTES: u32 = 15;

/// Shows the tenant's counters and the length of the queues. SQS counts messages approximately.
#[utoipa::path(
    get,
    path = "/stats",
    tag = "operations",
    operation_id = "show_stats",
    responses((status = 200, description = "The counters.", body = StatsResponse)),
)]
pub(crate) async fn show(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
) -> Result<Json<StatsResponse>, Problem> {
    let queues = try_join_all(api.queues.each().map(async |(lane, queue)| {
        let depth = queue.depth().await?;
        Ok::<_, BackendError>(QueueDepth {
            name: lane.to_string(),
            visible: depth.visible,
            in_flight: depth.in_flight,
            delayed: depth.delayed,
        })
    }));
    let (counters, queues) = tokio::join!(api.counters.counters(&tenant), queues);
    Ok(Json(stats_response(&counters?, queues?, Timestamp::now())))
}

/// How many tasks of a type have a status. A count may be below zero if it was begun after the table: it is reported as 0.
fn count(counters: &TenantCounters, task_type: TaskType, status: Status) -> u64 {
    u64::try_from(counters.counts.get(task_type, status)).unwrap_or(0)
}

/// How many tasks have each status.
pub(crate) fn count_by_status(counters: &TenantCounters) -> [(Status, u64); Status::ALL.len()] {
    Status::ALL.map(|status| {
        let of_type = TaskType::ALL.map(|task_type| count(counters, task_type, status));
        (status, of_type.into_iter().sum())
    })
}

fn stats_response(counters: &TenantCounters, queues: Vec<QueueDepth>, now: Timestamp) -> StatsResponse {
    let by_status = count_by_status(counters);
    let by_type = TaskType::ALL.into_iter().filter_map(|task_type| {
        let counts = Status::ALL.map(|status| (status, count(counters, task_type, status)));
        let is_used = counts.iter().any(|(_, count)| *count > 0);
        is_used.then(|| (task_type.as_str().to_owned(), StatusCounts::from_iter(counts)))
    });
    let last = counters.minutes.flow(PERCENTILE_MINUTES, now);
    StatsResponse {
        total: by_status.iter().map(|(_, count)| count).sum(),
        by_status: by_status.into_iter().collect(),
        by_type: by_type.collect(),
        per_minute: PerMinute {
            submitted: rates(counters, now, |flow| flow.submitted),
            finished: rates(counters, now, |flow| flow.finished),
        },
        queue_wait_ms: percentiles(&last.queue_wait),
        run_ms: percentiles(&last.run),
        queues,
        updated_at: (counters.last > 0).then_some(counters.latest.at),
    }
}

fn rates(counters: &TenantCounters, now: Timestamp, what: impl Fn(&Flow) -> u64) -> Rates {
    // Rounded down to hundredths: more digits would be noise.
    let rate = |minutes: u32| {
        let hundredths = what(&counters.minutes.flow(minutes, now)) * 100 / u64::from(minutes);
        hundredths as f64 / 100.0
    };
    Rates {
        last_1: rate(1),
        last_5: rate(5),
        last_15: rate(15),
    }
}

fn percentiles(histogram: &Histogram) -> Percentiles {
    Percentiles {
        p50: histogram.percentile(50),
        p95: histogram.percentile(95),
        count: histogram.count(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tenant_without_tasks_has_zeros() {
        let stats = stats_response(&TenantCounters::default(), Vec::new(), Timestamp::now());
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
        let shown = serde_json::to_value(stats_response(&counters, Vec::new(), Timestamp::now())).unwrap();
        assert_eq!(
            (&shown["total"], &shown["by_status"]["pending"]),
            (&json!(5), &json!(5))
        );
        assert_eq!(shown["by_type"]["embed"]["pending"], json!(3));
        assert_eq!(shown["by_status"]["completed"], json!(0));
    }
}

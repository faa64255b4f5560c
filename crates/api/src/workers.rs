//! `GET /v1/workers`: the worker functions, with their limits, their load and their activity in the last hour.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use mesh_api_types::{WorkerList, WorkerView};
use mesh_backend::Activity;
use mesh_http::Problem;
use mesh_stats::TenantCounters;
use mesh_task::{Status, TaskType, Tenant, WorkerKind};

use crate::state::{ApiState, WorkerFunction, Workers};

/// Lists the worker functions.
#[utoipa::path(
    get,
    path = "/workers",
    tag = "operations",
    operation_id = "list_workers",
    responses((status = 200, description = "The worker functions.", body = WorkerList)),
)]
pub(crate) async fn list(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
) -> Result<Json<WorkerList>, Problem> {
    let (activities, counters) = tokio::join!(api.workers.activities(), api.counters.counters(&tenant));
    let counters = counters?;
    let functions = api.workers.functions.iter().zip(activities?);
    Ok(Json(WorkerList {
        minutes: Workers::ACTIVITY_MINUTES,
        workers: functions
            .map(|(function, activity)| worker_view(function, activity, &counters))
            .collect(),
    }))
}

fn worker_view(function: &WorkerFunction, activity: Activity, counters: &TenantCounters) -> WorkerView {
    let mean = activity.messages as f64 / activity.batches as f64;
    let limits = function
        .limits
        .iter()
        .map(|(lane, limit)| ((*lane).to_owned(), *limit));
    WorkerView {
        name: format!("{}-worker", function.worker_kind.as_str()),
        function: function.name.clone(),
        limit: function.limits.values().sum(),
        limits: limits.collect(),
        running: running(function.worker_kind, counters),
        last_seen: activity.last_seen,
        processed: activity.completed + activity.failed,
        failed: activity.failed,
        retried: activity.retried,
        mean_batch: (activity.batches > 0).then(|| (mean * 100.0).round() / 100.0),
        cold_starts: activity.cold_starts,
    }
}

/// How many of the tenant's tasks run on a worker, by the counters. They count by task type: a task that another engine
/// than the type's default runs counts for the default worker too.
fn running(worker_kind: WorkerKind, counters: &TenantCounters) -> u64 {
    let types = TaskType::ALL
        .into_iter()
        .filter(|task_type| task_type.default_worker() == worker_kind);
    let counts = types.map(|task_type| counters.counts.get(task_type, Status::Processing));
    u64::try_from(counts.sum::<i64>()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_batches_has_no_mean() {
        let function = WorkerFunction {
            worker_kind: WorkerKind::Text,
            name: "text".to_owned(),
            limits: [("small", 8), ("high", 2)].into(),
        };
        let mut counters = TenantCounters::default();
        counters.counts.add(TaskType::Embed, Status::Processing, 2);
        counters.counts.add(TaskType::Ocr, Status::Processing, 1);
        let idle = worker_view(&function, Activity::default(), &counters);
        assert_eq!((idle.limit, idle.running, idle.mean_batch), (10, 2, None));
        let activity = Activity {
            messages: 10,
            batches: 3,
            ..Activity::default()
        };
        assert_eq!(worker_view(&function, activity, &counters).mean_batch, Some(3.33));
    }
}

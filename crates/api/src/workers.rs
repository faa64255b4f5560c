//! `GET /v1/workers`: the worker functions, with their limits, their load and their activity in the last hour.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use mesh_aws::Activity;
use mesh_http::Problem;
use mesh_stats::TenantCounters;
use mesh_task::{Status, TaskType, Tenant, WorkerKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::{ApiState, Function, Workers};

/// The worker functions, with their limits, their load and their recent activity.
#[derive(Serialize, ToSchema)]
#[schema(as = Workers)]
pub(crate) struct WorkersView {
    /// The period of the activity, in minutes.
    minutes: i64,
    pub(crate) workers: Vec<WorkerView>,
}

/// A worker function. Its activity is counted over the last `minutes`.
#[derive(Serialize, ToSchema)]
#[schema(as = Worker)]
pub(crate) struct WorkerView {
    pub(crate) name: String,
    /// The function's name in Lambda.
    function: String,
    /// The maximum concurrency of all lanes together.
    limit: u32,
    /// The maximum concurrency of each lane.
    #[schema(value_type = BTreeMap<String, u32>)]
    limits: BTreeMap<&'static str, u32>,
    /// How many of your tasks run now.
    pub(crate) running: u64,
    /// The minute of the last batch. Null if there was none.
    pub(crate) last_seen: Option<Timestamp>,
    /// Tasks that the worker completed or failed.
    processed: u64,
    failed: u64,
    /// Attempts after which the task was retried.
    retried: u64,
    /// The mean number of messages in a batch. Null if there was none.
    mean_batch: Option<f64>,
    /// Execution environments that were started.
    cold_starts: u64,
}

/// Lists the worker functions.
#[utoipa::path(
    get,
    path = "/workers",
    tag = "operations",
    operation_id = "list_workers",
    responses((status = 200, description = "The worker functions.", body = WorkersView)),
)]
pub(crate) async fn list(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
) -> Result<Json<WorkersView>, Problem> {
    let (activities, counters) = tokio::join!(api.workers.activities(), api.stats.counters(&tenant));
    let counters = counters?;
    let functions = api.workers.functions.iter().zip(activities?);
    Ok(Json(WorkersView {
        minutes: Workers::ACTIVITY_MINUTES,
        workers: functions
            .map(|(function, activity)| WorkerView::new(function, activity, &counters))
            .collect(),
    }))
}

impl WorkerView {
    fn new(function: &Function, activity: Activity, counters: &TenantCounters) -> Self {
        let mean = activity.messages as f64 / activity.batches as f64;
        Self {
            name: format!("{}-worker", function.modality.as_str()),
            function: function.name.clone(),
            limit: function.limits.values().sum(),
            limits: function.limits.clone(),
            running: running(function.modality, counters),
            last_seen: activity.last_seen,
            processed: activity.completed + activity.failed,
            failed: activity.failed,
            retried: activity.retried,
            mean_batch: (activity.batches > 0).then(|| (mean * 100.0).round() / 100.0),
            cold_starts: activity.cold_starts,
        }
    }
}

/// How many of the tenant's tasks run on a worker, by the counters. They count by task type: a task that another engine
/// than the type's default runs counts for the default worker too.
fn running(modality: WorkerKind, counters: &TenantCounters) -> u64 {
    let types = TaskType::ALL
        .into_iter()
        .filter(|task_type| task_type.default_worker() == modality);
    let counts = types.map(|task_type| counters.counts.of(task_type, Status::Processing));
    u64::try_from(counts.sum::<i64>()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_batches_has_no_mean() {
        let function = Function {
            modality: WorkerKind::Text,
            name: "text".to_owned(),
            limits: [("small", 8), ("high", 2)].into(),
        };
        let mut counters = TenantCounters::default();
        counters.counts.add(TaskType::Embed, Status::Processing, 2);
        counters.counts.add(TaskType::Ocr, Status::Processing, 1);
        let idle = WorkerView::new(&function, Activity::default(), &counters);
        assert_eq!((idle.limit, idle.running, idle.mean_batch), (10, 2, None));
        let activity = Activity {
            messages: 10,
            batches: 3,
            ..Activity::default()
        };
        assert_eq!(
            WorkerView::new(&function, activity, &counters).mean_batch,
            Some(3.33)
        );
    }
}

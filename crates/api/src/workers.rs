//! `GET /v1/workers`: what the worker functions may do, do, and did in the last hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use mesh_aws::{Activity, Metrics};
use mesh_http::Problem;
use mesh_stats::TenantCounters;
use mesh_task::{LaneKind, Status, TaskType, Tenant, WorkerKind};
use mesh_telemetry::{SettingError, setting};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::Api;

/// Over how many minutes it is told what they did.
const MINUTES: i64 = 60;
/// CloudWatch bills each metric of each read, and has new ones by the minute.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// The worker functions, and what CloudWatch last said of them.
#[derive(Debug)]
pub struct Workers {
    metrics: Metrics,
    functions: [Function; WorkerKind::ALL.len()],
    read: Mutex<Option<(Instant, Vec<Activity>)>>,
}

#[derive(Debug)]
struct Function {
    modality: WorkerKind,
    /// What Lambda calls it.
    name: String,
    /// How many of it may run for each lane; none for a lane that is off.
    limits: BTreeMap<&'static str, u32>,
}

/// What each worker function may do, does, and did of late.
#[derive(Serialize, ToSchema)]
#[schema(as = Workers)]
pub(crate) struct WorkersView {
    /// Over how many minutes it is told what they did.
    minutes: i64,
    pub(crate) workers: Vec<WorkerView>,
}

/// A worker function.
#[derive(Serialize, ToSchema)]
#[schema(as = Worker)]
pub(crate) struct WorkerView {
    pub(crate) name: String,
    /// What Lambda calls it.
    function: String,
    /// How many of it may run at once.
    limit: u32,
    /// The same for each of its lanes.
    #[schema(value_type = BTreeMap<String, u32>)]
    limits: BTreeMap<&'static str, u32>,
    /// How many of your tasks are being run.
    pub(crate) running: u64,
    /// The minute of its last batch.
    pub(crate) last_seen: Option<Timestamp>,
    /// Tasks that it completed or failed.
    processed: u64,
    failed: u64,
    /// Attempts that another followed.
    retried: u64,
    /// Messages in a batch, on average.
    mean_batch: Option<f64>,
    /// Environments that were started.
    cold_starts: u64,
}

impl Workers {
    /// The functions that the template names.
    pub fn from_settings(metrics: Metrics) -> Result<Self, SettingError> {
        let limit = |name: &str| setting::<u32>(name);
        let [large, high, low] = [
            limit("LARGE_CONCURRENCY")?,
            limit("HIGH_CONCURRENCY")?,
            limit("LOW_CONCURRENCY")?,
        ];
        let function = |modality: WorkerKind| {
            let worker = modality.as_str().to_uppercase();
            let small = limit(&format!("{worker}_CONCURRENCY"))?;
            let limits = LaneKind::ALL
                .map(LaneKind::as_str)
                .into_iter()
                .zip([small, large, high, low]);
            Ok(Function {
                modality,
                name: setting(&format!("{worker}_WORKER_FUNCTION"))?,
                limits: limits.filter(|(_, limit)| *limit > 0).collect(),
            })
        };
        let [text, image, audio, language] = WorkerKind::ALL.map(function);
        Ok(Self {
            metrics,
            functions: [text?, image?, audio?, language?],
            read: Mutex::new(None),
        })
    }

    /// What CloudWatch says of them, at most a minute old. One read at a time: the others wait for it and share it.
    async fn activities(&self) -> Result<Vec<Activity>, Problem> {
        let mut read = self.read.lock().await;
        if let Some((at, activities)) = &*read
            && at.elapsed() < KEPT_FOR
        {
            return Ok(activities.clone());
        }
        let names = self.functions.each_ref().map(|function| function.name.as_str());
        let activities = self.metrics.activity(&names, MINUTES, Timestamp::now()).await?;
        *read = Some((Instant::now(), activities.clone()));
        Ok(activities)
    }
}

/// Answers for each worker function.
#[utoipa::path(
    get,
    path = "/v1/workers",
    tag = "operations",
    operation_id = "list_workers",
    responses((status = 200, description = "The worker functions.", body = WorkersView)),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
) -> Result<Json<WorkersView>, Problem> {
    let (activities, book) = tokio::join!(api.workers.activities(), api.stats.counters(&tenant));
    let book = book?;
    let of = api.workers.functions.iter().zip(activities?);
    Ok(Json(WorkersView {
        minutes: MINUTES,
        workers: of
            .map(|(function, activity)| WorkerView::of(function, activity, &book))
            .collect(),
    }))
}

impl WorkerView {
    fn of(function: &Function, activity: Activity, book: &TenantCounters) -> Self {
        let mean = activity.messages as f64 / activity.batches as f64;
        Self {
            name: format!("{}-worker", function.modality.as_str()),
            function: function.name.clone(),
            limit: function.limits.values().sum(),
            limits: function.limits.clone(),
            running: running(function.modality, book),
            last_seen: activity.last_seen,
            processed: activity.completed + activity.failed,
            failed: activity.failed,
            retried: activity.retried,
            mean_batch: (activity.batches > 0).then(|| (mean * 100.0).round() / 100.0),
            cold_starts: activity.cold_starts,
        }
    }
}

/// The caller's tasks that are being run, by the counters: those of the types that are the worker's, where they don't ask
/// for another engine.
fn running(modality: WorkerKind, book: &TenantCounters) -> u64 {
    let types = TaskType::ALL
        .into_iter()
        .filter(|task_type| task_type.default_worker() == modality);
    let counts = types.map(|task_type| book.counts.of(task_type, Status::Processing));
    u64::try_from(counts.sum::<i64>()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_did_nothing_has_no_mean() {
        let function = Function {
            modality: WorkerKind::Text,
            name: "text".to_owned(),
            limits: [("small", 8), ("high", 2)].into(),
        };
        let mut book = TenantCounters::default();
        book.counts.add(TaskType::Embed, Status::Processing, 2);
        book.counts.add(TaskType::Ocr, Status::Processing, 1);
        let idle = WorkerView::of(&function, Activity::default(), &book);
        assert_eq!((idle.limit, idle.running, idle.mean_batch), (10, 2, None));
        let activity = Activity {
            messages: 10,
            batches: 3,
            ..Activity::default()
        };
        assert_eq!(WorkerView::of(&function, activity, &book).mean_batch, Some(3.33));
    }
}

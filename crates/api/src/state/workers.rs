//! The worker functions, and a cache of what they did lately.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::{Activity, BackendError, WorkerMetrics};
use mesh_task::{LaneKind, WorkerKind};
use mesh_telemetry::{SettingError, setting};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A service may bill each read, as CloudWatch does, and have new values every minute.
const CACHED_FOR: Duration = Duration::from_mins(1);

/// The worker functions, with their last activity.
#[derive(Debug)]
pub struct Workers {
    metrics: Arc<dyn WorkerMetrics>,
    pub(crate) functions: [WorkerFunction; WorkerKind::ALL.len()],
    cached: Mutex<Option<(Instant, Vec<Activity>)>>,
}

/// A worker of the stack.
#[derive(Debug)]
pub struct WorkerFunction {
    pub worker_kind: WorkerKind,
    /// Its name, on AWS that of the Lambda function.
    pub name: String,
    /// The maximum concurrency of each lane. A lane that is off is absent.
    pub limits: BTreeMap<&'static str, u32>,
}

impl Workers {
    /// The period of [`activities`](Self::activities).
    pub(crate) const ACTIVITY_MINUTES: i64 = 60;

    /// Reads the functions and their limits from the template's settings.
    ///
    /// # Errors
    /// When a setting is missing, or a limit is not a number.
    pub fn from_settings(metrics: Arc<dyn WorkerMetrics>) -> Result<Self, SettingError> {
        let limit = |name: &str| setting::<u32>(name);
        let [large, high, low] = [
            limit("LARGE_CONCURRENCY")?,
            limit("HIGH_CONCURRENCY")?,
            limit("LOW_CONCURRENCY")?,
        ];
        let function = |worker_kind: WorkerKind| {
            let worker = worker_kind.as_str().to_uppercase();
            let small = limit(&format!("{worker}_CONCURRENCY"))?;
            let limits = LaneKind::ALL
                .map(LaneKind::as_str)
                .into_iter()
                .zip([small, large, high, low]);
            Ok(WorkerFunction {
                worker_kind,
                name: setting(&format!("{worker}_WORKER_FUNCTION"))?,
                limits: limits.filter(|(_, limit)| *limit > 0).collect(),
            })
        };
        let [text, image, audio, language] = WorkerKind::ALL.map(function);
        Ok(Self::new(metrics, [text?, image?, audio?, language?]))
    }

    /// The workers of a stack, and where their metrics are read.
    #[must_use]
    pub fn new(metrics: Arc<dyn WorkerMetrics>, functions: [WorkerFunction; WorkerKind::ALL.len()]) -> Self {
        Self {
            metrics,
            functions,
            cached: Mutex::new(None),
        }
    }

    /// The functions' activity over the last hour, at most a minute old. One request reads it; requests that arrive
    /// meanwhile wait for that read and share it.
    pub(crate) async fn activities(&self) -> Result<Vec<Activity>, BackendError> {
        let mut cached = self.cached.lock().await;
        if let Some((at, activities)) = &*cached
            && at.elapsed() < CACHED_FOR
        {
            return Ok(activities.clone());
        }
        let names = self.functions.each_ref().map(|function| function.name.as_str());
        let activities = self
            .metrics
            .activity(&names, Self::ACTIVITY_MINUTES, Timestamp::now())
            .await?;
        *cached = Some((Instant::now(), activities.clone()));
        Ok(activities)
    }
}

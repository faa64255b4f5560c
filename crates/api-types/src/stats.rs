//! The counters of a tenant.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mesh_task::Status;
use serde::{Deserialize, Serialize};

/// How many tasks there are, how fast they come and go, and what waits in the queues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Stats))]
pub struct StatsResponse {
    /// The number of tasks that are stored.
    pub total: u64,
    pub by_status: StatusCounts,
    /// By task type. A type without tasks is absent.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<mesh_task::TaskType, StatusCounts>))]
    pub by_type: BTreeMap<String, StatusCounts>,
    pub per_minute: PerMinute,
    /// How long tasks that could run waited for a worker, in milliseconds.
    pub queue_wait_ms: Percentiles,
    /// How long attempts took that completed or failed their task, in milliseconds.
    pub run_ms: Percentiles,
    pub queues: Vec<QueueDepth>,
    /// When a task last changed. Null before the first task.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub updated_at: Option<Timestamp>,
}

/// The number of tasks with each status.
///
/// The API counts every status that it knows, also if no task has it. Names that this version does not know are retained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatusCounts(BTreeMap<String, u64>);

impl StatusCounts {
    /// 0 for a status that is not counted.
    #[must_use]
    pub fn get(&self, status: Status) -> u64 {
        self.0.get(status.as_str()).copied().unwrap_or(0)
    }

    /// The number of tasks with any status.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl FromIterator<(Status, u64)> for StatusCounts {
    fn from_iter<I: IntoIterator<Item = (Status, u64)>>(counts: I) -> Self {
        let named = counts
            .into_iter()
            .map(|(status, count)| (status.as_str().to_owned(), count));
        Self(named.collect())
    }
}

/// The rates at which tasks were accepted and became final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PerMinute {
    pub submitted: Rates,
    pub finished: Rates,
}

/// Tasks per minute: the mean of the last 1, 5 and 15 minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rates {
    pub last_1: f64,
    pub last_5: f64,
    pub last_15: f64,
}

/// Percentiles of a duration over the last 15 minutes. They are null if nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Percentiles {
    #[cfg_attr(feature = "openapi", schema(required))]
    pub p50: Option<u64>,
    #[cfg_attr(feature = "openapi", schema(required))]
    pub p95: Option<u64>,
    /// How many durations were measured.
    pub count: u64,
}

/// The messages of a queue, which all tenants share. SQS counts them approximately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueDepth {
    /// Such as `text-small`.
    pub name: String,
    /// Messages that wait for a worker.
    pub visible: u64,
    /// Messages that a worker has received.
    pub in_flight: u64,
    /// Messages that become visible later, such as those of tasks that wait for their next attempt.
    pub delayed: u64,
}

#[cfg(feature = "openapi")]
mod schema {
    use mesh_task::Status;
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, Schema};
    use utoipa::{PartialSchema, ToSchema};

    use super::StatusCounts;

    /// Every status is a required field.
    impl PartialSchema for StatusCounts {
        fn schema() -> RefOr<Schema> {
            let object =
                ObjectBuilder::new().description(Some("The number of tasks with each status, 0 included."));
            let object = Status::ALL.into_iter().fold(object, |object, status| {
                object
                    .property(status.as_str(), u64::schema())
                    .required(status.as_str())
            });
            object.into()
        }
    }

    impl ToSchema for StatusCounts {}
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_of_unknown_statuses_are_retained() {
        let json = json!({ "completed": 2, "paused": 3 });
        let counts: StatusCounts = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(
            (counts.get(Status::Completed), counts.get(Status::Failed)),
            (2, 0)
        );
        assert_eq!(counts.total(), 5);
        assert_eq!(json!(counts), json);
    }
}

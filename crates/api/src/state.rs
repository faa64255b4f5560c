//! What the handlers work with: the clients of the backend, and the settings of the stack.

mod models;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use mesh_backend::{CounterStore, PayloadStore, Queues, TaskStore};
use mesh_http::AcceptedKeys;
use mesh_task::{RetryPolicies, SweepPolicy, Tenant};

pub use models::ModelSettings;
pub use workers::{WorkerFunction, Workers};

/// The state of the router. A host makes one of its backend's clients, and passes it to [`router`](crate::router).
#[derive(Debug)]
pub struct ApiState {
    pub tasks: Arc<dyn TaskStore>,
    pub counters: Arc<dyn CounterStore>,
    pub payloads: Arc<dyn PayloadStore>,
    pub queues: Queues,
    pub token: AcceptedKeys,
    /// The tenant of the earlier systems' clients that send no token. Without it they need one.
    pub compat_tenant: Option<Tenant>,
    /// The origin whose pages may call the API, or `*`. Without it no other origin may.
    pub origin: Option<HeaderValue>,
    /// The address of the event stream. Without it the stack has none.
    pub events: Option<String>,
    /// A task is deleted this long after it was created or redriven.
    pub retention: Duration,
    /// How often a task is attempted if its submission does not say.
    pub policies: RetryPolicies,
    /// When the sweeper first checks a new task.
    pub sweep_policy: SweepPolicy,
    pub models: ModelSettings,
    pub workers: Workers,
    /// The folder with the dashboard's files. They are read when they are requested. Without it the stack has none.
    pub dashboard: Option<PathBuf>,
}

impl ApiState {
    /// The address of a stream of events, if the stack has an event stream.
    pub(crate) fn events_at(&self, path: &str) -> Option<String> {
        let base = self.events.as_deref()?;
        Some(format!("{}{path}", base.trim_end_matches('/')))
    }
}

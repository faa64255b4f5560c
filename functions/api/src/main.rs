//! The API function: reads its settings, makes its clients, and serves the API's routes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use mesh_api::{ApiState, ModelSettings, Workers};
use mesh_aws::{Metrics, Payloads, StatsTable, TaskTable, queues_from_settings};
use mesh_http::AcceptedKeys;
use mesh_lambda_http::Error;
use mesh_task::Tenant;
use mesh_telemetry::{init_logging, retry_policies, setting, sweep_policy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    init_logging(env!("CARGO_CRATE_NAME"));
    let config = mesh_aws::sdk_config().await?;
    let api = ApiState {
        tasks: Arc::new(TaskTable::new(&config, setting("TASKS_TABLE")?)),
        counters: Arc::new(StatsTable::new(&config, setting("STATS_TABLE")?)),
        payloads: Arc::new(Payloads::new(&config, setting("PAYLOAD_BUCKET")?)),
        queues: queues_from_settings(&config)?,
        token: setting::<AcceptedKeys>("TOKEN_SHA256")?,
        compat_tenant: compat_tenant()?,
        origin: Some(setting("WEB_ORIGIN")?).filter(|origin: &HeaderValue| !origin.is_empty()),
        events: Some(setting("EVENTS_URL")?).filter(|address: &String| !address.is_empty()),
        policies: retry_policies()?,
        sweep_policy: sweep_policy()?,
        models: ModelSettings::from_settings()?,
        workers: Workers::from_settings(Arc::new(Metrics::new(&config)))?,
        retention: Duration::from_hours(24 * setting::<u64>("RETENTION_DAYS")?),
        // Beside the function's bootstrap.
        dashboard: std::env::var_os("LAMBDA_TASK_ROOT").map(|folder| PathBuf::from(folder).join("web")),
    };
    // Lambda gives a starting environment more processor time than a running one: the TLS handshakes are cheapest here.
    tokio::join!(api.tasks.warm(), api.queues.warm());
    mesh_lambda_http::run(mesh_api::router(api)).await
}

/// The tenant that requests without a token act as, if the template's `CompatTenant` names one.
fn compat_tenant() -> Result<Option<Tenant>, Error> {
    let name: String = setting("COMPAT_TENANT")?;
    if name.is_empty() {
        return Ok(None);
    }
    Ok(Some(Tenant::try_from(name)?))
}

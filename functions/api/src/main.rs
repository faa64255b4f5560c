//! The HTTP API: reads its settings, makes its clients, and answers.

mod app;
mod auth;
mod changes;
mod compat;
mod dashboard;
mod dead_letters;
mod docs;
#[cfg(feature = "faults")]
mod faults;
mod health;
mod hygiene;
mod models;
mod observe;
mod openapi;
mod problem;
mod query;
mod request;
mod stats;
mod tasks;
mod uploads;
mod wait;
mod workers;

use std::time::Duration;

use http::HeaderValue;
use lambda_http::Error;
use mesh_access::TokenHash;
use mesh_cloud::{Metrics, Payloads, Queues, StatsTable, TaskTable, setting};
use mesh_task::Tenant;

use crate::app::Api;
use crate::models::ModelSettings;
use crate::workers::Workers;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_cloud::init_logging();
    let config = mesh_cloud::sdk_config().await?;
    let api = Api {
        table: TaskTable::new(&config, setting("TASKS_TABLE")?),
        stats: StatsTable::new(&config, setting("STATS_TABLE")?),
        payloads: Payloads::new(&config, setting("PAYLOAD_BUCKET")?),
        queues: Queues::from_settings(&config)?,
        token: setting::<TokenHash>("TOKEN_SHA256")?,
        compat_tenant: compat_tenant()?,
        origin: Some(setting("WEB_ORIGIN")?).filter(|origin: &HeaderValue| !origin.is_empty()),
        events: Some(setting("EVENTS_URL")?).filter(|address: &String| !address.is_empty()),
        policies: mesh_cloud::retry_policies()?,
        patience: mesh_cloud::patience()?,
        models: ModelSettings::read()?,
        workers: Workers::from_settings(Metrics::new(&config))?,
        retention: Duration::from_hours(24 * setting::<u64>("RETENTION_DAYS")?),
    };
    // Lambda gives a starting environment more CPU than a running one: the handshakes are cheapest here.
    tokio::join!(api.table.warm(), api.queues.warm());
    lambda_http::run(app::router(api)).await
}

/// The tenant that `CompatTenant` lends, if it names one.
fn compat_tenant() -> Result<Option<Tenant>, Error> {
    let name: String = setting("COMPAT_TENANT")?;
    if name.is_empty() {
        return Ok(None);
    }
    Ok(Some(Tenant::try_from(name)?))
}

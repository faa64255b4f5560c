//! `GET /health`: whether the API runs, and on request whether the services that it needs answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use mesh_api_types::{Health, HealthCheck};
use mesh_backend::BackendError;
use mesh_http::Problem;
use serde::Deserialize;
use tokio::time::timeout;

use crate::state::ApiState;

/// A service that does not answer within this time counts as failing.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    deep: Option<String>,
}

/// Checks the API. A deep check calls AWS, which costs money, and so requires the token.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operations",
    operation_id = "check_health",
    params(("deep" = Option<String>, Query, description = "`1` also calls the services that the API needs, and requires the token.", pattern = "^[01]$")),
    responses(
        (status = 200, description = "The API runs, and every service that was checked answers.", body = Health),
        (status = 400),
        (status = 401),
        (status = 503, description = "A service that the API needs does not answer.", body = Health),
    ),
)]
pub(crate) async fn health(
    State(api): State<Arc<ApiState>>,
    headers: HeaderMap,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(params) = params.map_err(|error| Problem::invalid_query(error.body_text()))?;
    match params.deep.as_deref() {
        None | Some("0") => {
            let health = Health {
                status: "ok".to_owned(),
                checks: Vec::new(),
            };
            return Ok(Json(health).into_response());
        }
        Some("1") => api.token.tenant_of(&headers)?,
        Some(other) => {
            let detail = format!("deep={other} is invalid: send 1 to check all that the API needs, or 0");
            return Err(Problem::invalid_query(detail));
        }
    };
    let each = api.queues.each();
    let queues =
        join_all(each.map(async |(lane, queue)| check(format!("{lane}-queue"), queue.check()).await));
    let (table, queues, bucket) = tokio::join!(
        check("table".to_owned(), api.tasks.check()),
        queues,
        check("bucket".to_owned(), api.payloads.check()),
    );
    let mut checks = vec![table];
    checks.extend(queues);
    checks.push(bucket);
    let (code, status) = if checks.iter().all(|check| check.ok) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "failing")
    };
    let health = Health {
        status: status.to_owned(),
        checks,
    };
    Ok((code, Json(health)).into_response())
}

async fn check(name: String, call: impl Future<Output = Result<(), BackendError>>) -> HealthCheck {
    let begun = Instant::now();
    let error = match timeout(CHECK_TIMEOUT, call).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::error!(event = "health_check_failed", name, %error, "a health check failed");
            Some(error.code.unwrap_or_else(|| "no answer".to_owned()))
        }
        Err(_) => Some(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
    };
    HealthCheck {
        name,
        ok: error.is_none(),
        latency_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        error,
    }
}

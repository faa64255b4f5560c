//! `GET /v1/changes`: the changes of a tenant's tasks since a cursor.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use mesh_api_types::{ChangeLinks, ChangeList, ChangeView};
use mesh_http::{Deadline, PollInterval, Problem};
use mesh_task::Tenant;
use serde::Deserialize;

use crate::state::ApiState;
use crate::wait::Wait;

/// An answer has about this many changes at most. The next request continues.
const MAX_CHANGES: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    after: Option<String>,
    wait: Option<String>,
}

/// Lists the changes after a cursor, oldest first. Without a cursor, the list begins now. With `?wait=SECONDS`, the answer
/// waits until there is a change or the time is up.
#[utoipa::path(
    get,
    path = "/changes",
    tag = "operations",
    operation_id = "list_changes",
    params(
        ("after" = Option<String>, Query, description = "The `next` of the answer before. Without it, the list begins now.", pattern = "^[0-9]{1,19}$"),
        ("wait" = Option<u32>, Query, description = "How many seconds the answer waits for a change.", maximum = 20),
    ),
    responses((status = 200, description = "The changes.", body = ChangeList), (status = 400), (status = 410)),
)]
pub(crate) async fn list(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    Deadline(deadline): Deadline,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<ChangeList>, Problem> {
    let Query(params) = params.map_err(|error| Problem::invalid_query(error.body_text()))?;
    let mut after = params.after.as_deref().map(parse_cursor).transpose()?;
    let mut wait = Wait::new(params.wait.as_deref(), deadline, PollInterval::of_changes())?;
    loop {
        let changed = api.counters.changed(&tenant);
        // A read of one item, so that waiting is cheap.
        let counters = api.counters.counters(&tenant).await?;
        let after = *after.get_or_insert(counters.last);
        if after == counters.last && wait.again(changed).await {
            continue;
        }
        let changes = api
            .counters
            .changes(&tenant, &counters, after, MAX_CHANGES)
            .await?;
        let changes = changes.ok_or_else(Problem::changes_gone)?;
        let next = changes.last().map_or(after, |(number, _)| *number);
        return Ok(Json(ChangeList {
            changes: changes.into_iter().map(ChangeView::from).collect(),
            next: next.to_string(),
            links: api.events_at("/v1/events").map(|events| ChangeLinks { events }),
        }));
    }
}

fn parse_cursor(given: &str) -> Result<u64, Problem> {
    let refuse = |_| Problem::invalid_query("after is not a cursor: send the next of a response unchanged");
    given.parse().map_err(refuse)
}

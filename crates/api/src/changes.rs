//! `GET /v1/changes`: what happened to the tenant's tasks since a caller's last request.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use mesh_http::{Deadline, Problem};
use mesh_stats::ChangeView;
use mesh_task::Tenant;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Api;
use crate::wait::Wait;

/// How many changes one response has, about. The next request returns the ones after them.
const MAX_CHANGES: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    after: Option<String>,
    wait: Option<String>,
}

/// Changes, oldest first, and the cursor to go on from.
#[derive(Serialize, ToSchema)]
pub(crate) struct Changes {
    changes: Vec<ChangeView>,
    next: String,
    /// None where the stack has no event stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    links: Option<ChangeLinks>,
}

#[derive(Serialize, ToSchema)]
struct ChangeLinks {
    /// Where the same changes come as server-sent events.
    events: String,
}

/// Answers with the changes after the cursor, oldest first; with `?wait=SECONDS` not before there is one or the time is up.
/// Without a cursor it begins at the present. While it waits it reads one item at a time, the tenant's book.
#[utoipa::path(
    get,
    path = "/v1/changes",
    tag = "operations",
    operation_id = "list_changes",
    params(
        ("after" = Option<String>, Query, description = "The `next` of an answer; the present if it is left out.", pattern = "^[0-9]{1,19}$"),
        ("wait" = Option<u32>, Query, description = "For how many seconds the answer is held until there is a change.", maximum = 20),
    ),
    responses((status = 200, description = "The changes.", body = Changes), (status = 400), (status = 410)),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    Deadline(deadline): Deadline,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<Changes>, Problem> {
    let Query(params) = params.map_err(|error| Problem::invalid_query(error.body_text()))?;
    let mut after = params.after.as_deref().map(parse_cursor).transpose()?;
    let mut wait = Wait::new(params.wait.as_deref(), deadline)?;
    loop {
        let book = api.stats.book(&tenant).await?;
        let after = *after.get_or_insert(book.last);
        if after == book.last && wait.again().await {
            continue;
        }
        let changes = api.stats.changes(&tenant, &book, after, MAX_CHANGES).await?;
        let changes = changes.ok_or_else(Problem::changes_gone)?;
        let next = changes.last().map_or(after, |(number, _)| *number);
        return Ok(Json(Changes {
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

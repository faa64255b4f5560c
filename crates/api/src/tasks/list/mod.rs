//! `GET /v1/tasks`: a tenant's tasks, newest first, page by page.
//!
//! A request reads a bounded number of items, however many are stored. Without a filter it reads the items of the page;
//! for failed tasks it reads only failed ones, for pending and processing tasks only those in flight. Tasks that pass a
//! rare filter may lie beyond that bound: the page is then short, or empty, and its cursor continues below the last item
//! that was read. So it is where the table answers slowly, and the time for a list is over before the page is full.

mod cursor;
mod filter;

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use mesh_api_types::{TaskList, TaskSummaryView};
use mesh_http::Problem;
use mesh_task::{Priority, Status, TaskSummary, TaskType, Tenant};
use tokio::time::Instant;

use crate::query::MAX_LIST_TIME;
use crate::state::ApiState;
use filter::ListQuery;

/// Lists tasks, newest first. The last page has no `next_cursor`.
#[utoipa::path(
    get,
    path = "/tasks",
    tag = "tasks",
    operation_id = "list_tasks",
    params(
        ("status" = Option<Status>, Query, description = "Only tasks with this status."),
        ("type" = Option<TaskType>, Query, description = "Only tasks of this type."),
        ("priority" = Option<Priority>, Query, description = "Only tasks of this priority."),
        ("created_after" = Option<Timestamp>, Query, description = "Only tasks that were accepted at this time or later."),
        ("created_before" = Option<Timestamp>, Query, description = "Only tasks that were accepted before this time."),
        ("limit" = Option<u32>, Query, description = "The maximum number of tasks on the page; 50 by default.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before, with the same filters.", pattern = "^[0-9a-f]{48}$"),
    ),
    responses((status = 200, description = "A page. It may be short, or empty, although more pages follow.", body = TaskList), (status = 400)),
)]
pub(crate) async fn list(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<TaskList>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_query(error.body_text()))?;
    let page = page(&api, &tenant, query).await?;
    Ok(Json(TaskList {
        tasks: page.tasks.into_iter().map(TaskSummaryView::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

pub(crate) struct Page {
    pub(crate) tasks: Vec<TaskSummary>,
    /// Absent on the last page.
    pub(crate) next_cursor: Option<String>,
}

/// Reads the page that a query describes.
pub(crate) async fn page(
    api: &ApiState,
    tenant: &Tenant,
    query: Vec<(String, String)>,
) -> Result<Page, Problem> {
    let ListQuery {
        filter,
        limit,
        cursor,
    } = ListQuery::parse(query)?;
    let below = match cursor {
        Some(cursor) => Some(cursor::read(tenant, &filter, &cursor).ok_or_else(invalid_cursor)?),
        None => None,
    };
    let until = Instant::now() + MAX_LIST_TIME;
    let page = api.tasks.list(tenant, &filter, below, limit, until).await?;
    Ok(Page {
        tasks: page.entries,
        next_cursor: page.next.map(|last| cursor::write(tenant, &filter, last)),
    })
}

fn invalid_cursor() -> Problem {
    Problem::invalid_query(
        "cursor does not belong to this list: send the next_cursor of a response unchanged, with the same filters",
    )
}

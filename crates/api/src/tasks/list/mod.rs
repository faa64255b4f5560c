//! `GET /v1/tasks`: a tenant's tasks, newest first, page by page.
//!
//! A request reads a bounded number of items, whatever is stored: those of the page where nothing is filtered, of failed
//! ones only those that failed, of pending and processing ones only those in flight. What a filter lets through is
//! seldom in reach of one request: then the page is short, or empty, and its cursor goes on below what was looked at.

mod cursor;
mod filter;
mod view;

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use mesh_aws::Continuation;
use mesh_http::Problem;
use mesh_task::{Priority, Status, TaskType, Tenant};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Api;
use filter::ListQuery;
use view::SummaryView;

/// A page of tasks, newest first. Without a `next_cursor` nothing follows.
#[derive(Serialize, ToSchema)]
#[schema(as = TaskPage)]
pub(crate) struct Tasks {
    tasks: Vec<SummaryView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

/// Answers with a page. Without a `next_cursor` nothing follows.
#[utoipa::path(
    get,
    path = "/v1/tasks",
    tag = "tasks",
    operation_id = "list_tasks",
    params(
        ("status" = Option<Status>, Query, description = "Only tasks that stand so."),
        ("type" = Option<TaskType>, Query, description = "Only tasks of this type."),
        ("priority" = Option<Priority>, Query, description = "Only tasks of this priority."),
        ("created_after" = Option<Timestamp>, Query, description = "Only tasks that were accepted then or later."),
        ("created_before" = Option<Timestamp>, Query, description = "Only tasks that were accepted before."),
        ("limit" = Option<u32>, Query, description = "The most tasks of a page; 50 if it is left out.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of an answer, with the same filters.", pattern = "^[0-9a-f]{48}$"),
    ),
    responses((status = 200, description = "A page; it may be short, or empty, with more to follow.", body = Tasks), (status = 400)),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(tenant): Extension<Tenant>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Tasks>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_query(error.body_text()))?;
    page(&api, &tenant, query).await.map(Json)
}

/// The page that a query asks for.
pub(crate) async fn page(api: &Api, tenant: &Tenant, query: Vec<(String, String)>) -> Result<Tasks, Problem> {
    let ListQuery {
        filter,
        limit,
        cursor,
    } = ListQuery::parse(query)?;
    let mut range = filter.range();
    let mut last = None;
    if let Some(cursor) = cursor {
        let id = cursor::read(tenant, &filter, &cursor).ok_or_else(invalid_cursor)?;
        range = range.below(id);
        last = Some(id);
    }
    let mut list = api.table.list(tenant, filter.status, range, limit).await?;
    let mut tasks = Vec::new();
    let continuation = loop {
        let page = list.next_page(limit - tasks.len()).await?;
        last = page.last.or(last);
        tasks.extend(page.tasks.into_iter().filter(|task| filter.admits(task)));
        if page.continuation != Continuation::More || tasks.len() == limit {
            break page.continuation;
        }
    };
    let has_more = continuation != Continuation::End;
    Ok(Tasks {
        tasks: tasks.into_iter().map(SummaryView::from).collect(),
        next_cursor: last
            .filter(|_| has_more)
            .map(|last| cursor::write(tenant, &filter, last)),
    })
}

fn invalid_cursor() -> Problem {
    Problem::invalid_query(
        "cursor does not belong to this list: send the next_cursor of a response unchanged, with the same filters",
    )
}

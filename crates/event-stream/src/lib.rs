//! Server-sent events: what happens to a tenant's tasks, or to one of them, as it happens.
//!
//! On AWS an open stream occupies an environment of its function, and is billed for as long. So a stream has a time, and the
//! client continues in the next one where it was (`Last-Event-ID`, the number in the change log).

mod follow;
mod request;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use mesh_api_types::{ChangeStatus, ChangeView};
use mesh_backend::{CounterStore, TaskStore};
use mesh_http::auth::SERVICE_TOKEN;
use mesh_http::{AcceptedKeys, Problem, ProblemKind, browser, limits};
use mesh_task::TaskId;

use crate::follow::{Follow, WatchedTask, event};
use crate::request::StreamRequest;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What the streams are read from.
#[derive(Debug)]
pub struct Events {
    pub tasks: Arc<dyn TaskStore>,
    pub counters: Arc<dyn CounterStore>,
    pub token: AcceptedKeys,
}

/// The routes of the streams.
pub fn router(events: Events) -> Router {
    // No cookie lets anyone in, so pages of any origin may call: they need the token, as every caller does.
    let cors = browser::cors(
        &HeaderValue::from_static("*"),
        [Method::GET],
        [SERVICE_TOKEN, AUTHORIZATION, LAST_EVENT_ID],
    );
    let router = Router::new()
        .route("/v1/events", get(tenant_events))
        .route("/v1/tasks/{id}/events", get(task_events))
        .fallback(async || route_not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn(limits::limit_headers))
        .layer(from_fn(mesh_http::render));
    browser::layers(router, Some(cors)).with_state(Arc::new(events))
}

fn route_not_found() -> Problem {
    Problem::new(
        ProblemKind::RouteNotFound,
        "nothing is served at this address: use /v1/events or /v1/tasks/{id}/events",
    )
}

/// `GET /v1/events`: all of the tenant's tasks.
async fn tenant_events(State(events): State<Arc<Events>>, request: Request) -> Result<Response, Problem> {
    let request = StreamRequest::read(&events.token, &request)?;
    let counters = events.counters.counters(&request.tenant).await?;
    let after = request.after.unwrap_or(counters.last);
    // Deleted changes are reported before the stream begins, where a status code can say it.
    let first = events
        .counters
        .changes(&request.tenant, &counters, after, 1)
        .await?;
    first.ok_or_else(Problem::changes_gone)?;
    Ok(stream(String::new(), Follow::new(events, request, after, None)))
}

/// `GET /v1/tasks/{id}/events`: one task, from its present state until it is final.
async fn task_events(State(events): State<Arc<Events>>, request: Request) -> Result<Response, Problem> {
    let id: Option<TaskId> = request::task_id(request.uri().path());
    let request = StreamRequest::read(&events.token, &request)?;
    let id = id.ok_or_else(Problem::task_not_found)?;
    // Read before the task, so that no change falls in between.
    let counters = events.counters.counters(&request.tenant).await?;
    let task = events.tasks.get(&request.tenant, id).await?;
    let task = task.ok_or_else(Problem::task_not_found)?;
    let present = event(&ChangeView {
        cursor: counters.last.to_string(),
        id,
        task_type: task.task_type,
        status: ChangeStatus::Task(task.status),
        previous_status: None,
        generation: task.generation,
        attempt: task.attempt,
        updated_at: task.updated_at,
    });
    if task.status.is_final() {
        return Ok(answer(Body::from(present)));
    }
    let watched = WatchedTask::new(&task);
    let follow = Follow::new(events, request, counters.last, Some(watched));
    Ok(stream(present, follow))
}

fn stream(beginning: String, follow: Follow) -> Response {
    answer(Body::from_stream(follow.events(beginning)))
}

fn answer(body: Body) -> Response {
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, StatusCode};
    use http::header::CONTENT_TYPE;
    use mesh_aws::testing::config;
    use mesh_aws::{StatsTable, TaskTable};
    use tower::ServiceExt;
    use wiremock::MockServer;

    use super::*;

    #[tokio::test]
    async fn headers_that_are_too_large_are_refused() {
        let server = MockServer::start().await;
        let config = config(&server);
        let router = router(Events {
            tasks: Arc::new(TaskTable::new(&config, "tasks".to_owned())),
            counters: Arc::new(StatsTable::new(&config, "stats".to_owned())),
            token: "00".repeat(32).parse().unwrap(),
        });
        for (bytes, status) in [
            (16_000, StatusCode::UNAUTHORIZED),
            (17_000, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        ] {
            let request = Request::get("/v1/events").header("x-large", "x".repeat(bytes));
            let request = request.body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{bytes}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
    }
}

//! Server-sent events: what happens to a tenant's tasks, or to one, told as it happens.
//!
//! A function of its own, behind a Function URL, because an HTTP API can't stream. An open stream occupies one
//! environment of it, and is billed for as long; so each is bounded by the function's timeout, and the client goes on in
//! the next from where it was (`Last-Event-ID`, the number in the change log).

mod follow;
mod problem;
mod request;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, Method};
use lambda_http::Error;
use mesh_api_types::{ChangeStatus, ChangeView};
use mesh_aws::{StatsTable, TaskTable};
use mesh_http::TokenHash;
use mesh_task::TaskId;
use mesh_telemetry::setting;
use tower_http::cors::{Any, CorsLayer};

use crate::follow::{Follow, One, event};
use crate::problem::Problem;
use crate::request::Asked;

/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

#[derive(Debug)]
struct Events {
    tasks: TaskTable,
    stats: StatsTable,
    token: TokenHash,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    mesh_telemetry::init_logging(env!("CARGO_CRATE_NAME"));
    let config = mesh_aws::sdk_config().await?;
    let events = Events {
        tasks: TaskTable::new(&config, setting("TASKS_TABLE")?),
        stats: StatsTable::new(&config, setting("STATS_TABLE")?),
        token: setting("TOKEN_SHA256")?,
    };
    events.tasks.warm().await;
    lambda_http::run_with_streaming_response(router(events)).await
}

fn router(events: Events) -> Router {
    // No cookie lets anyone in, so pages of any origin may ask: they need the token, like all others.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET])
        .allow_headers([
            HeaderName::from_static("x-service-token"),
            HeaderName::from_static("authorization"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([HeaderName::from_static("x-request-id"), RETRY_AFTER, ALLOW])
        .max_age(PREFLIGHT_AGE);
    Router::new()
        .route("/v1/events", get(all))
        .route("/v1/tasks/{id}/events", get(one))
        .fallback(async || Problem::NoSuchAddress)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(middleware::from_fn(problem::render))
        .layer(cors)
        .with_state(Arc::new(events))
}

/// `GET /v1/events`: all of the tenant's tasks.
async fn all(State(events): State<Arc<Events>>, request: Request) -> Result<Response, Problem> {
    let asked = Asked::read(&events.token, &request)?;
    let book = events.stats.counters(&asked.tenant).await?;
    let after = asked.after.unwrap_or(book.last);
    // What is gone is told before the stream begins, where a status code can say it.
    let first = events.stats.changes(&asked.tenant, &book, after, 1).await?;
    first.ok_or(Problem::Gone)?;
    Ok(stream(String::new(), Follow::new(events, asked, after, None)))
}

/// `GET /v1/tasks/{id}/events`: one task, from how it stands until it is final.
async fn one(State(events): State<Arc<Events>>, request: Request) -> Result<Response, Problem> {
    let asked = Asked::read(&events.token, &request)?;
    let id: TaskId = request::task_id(request.uri().path()).ok_or(Problem::NoSuchTask)?;
    // Read before the task: so no change falls in between.
    let book = events.stats.counters(&asked.tenant).await?;
    let task = events.tasks.get(&asked.tenant, id).await?;
    let task = task.ok_or(Problem::NoSuchTask)?;
    let one = One::new(&task);
    let stands = event(&ChangeView {
        cursor: book.last.to_string(),
        id,
        task_type: task.task_type,
        status: ChangeStatus::Task(task.status),
        previous_status: None,
        generation: task.generation,
        attempt: task.attempt,
        updated_at: task.updated_at,
    });
    if task.status.is_final() {
        return Ok(answer(Body::from(stands)));
    }
    Ok(stream(stands, Follow::new(events, asked, book.last, Some(one))))
}

fn stream(beginning: String, follow: Follow) -> Response {
    answer(Body::from_stream(follow.told(beginning)))
}

fn answer(body: Body) -> Response {
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

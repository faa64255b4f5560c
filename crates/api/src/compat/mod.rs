//! The routes of the four systems that AI Mesh replaces, so that their clients continue to work. Each request becomes a
//! request of the present API, and each answer is translated back; docs/COMPAT.md lists the differences.
//!
//! There is a file for each earlier system. Here is what they share.

mod jobs;
mod mini_queue;
mod python;
mod taskflow;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Path};
use axum::{Json, middleware};
use http::StatusCode;
use http::request::Parts;
use mesh_http::Problem;
use mesh_http::auth::{self, CompatAccess};
use mesh_http::limits::MAX_BODY_BYTES;
use mesh_task::{Status, Task, TaskId, TaskResult, TaskType, Tenant, by_name};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;
use crate::tasks::LINK_EXPIRES_IN;

type Accepted<T> = Result<(StatusCode, Json<T>), Problem>;

/// All compat routes. Those of systems without tokens accept anonymous requests if the stack names a tenant for them: for what
/// a caller submits, and for a task whose id the caller knows. A list shows the tasks of others, and so needs the token.
pub(crate) fn routes(api: &ApiState) -> OpenApiRouter<Arc<ApiState>> {
    let open = OpenApiRouter::default()
        .routes(routes!(python::submit))
        .routes(routes!(python::submit_task))
        .routes(routes!(python::enqueue))
        .routes(routes!(python::show_status))
        .routes(routes!(python::show_result))
        .routes(routes!(python::list_workers))
        .routes(routes!(mini_queue::submit))
        .routes(routes!(mini_queue::show))
        .routes(routes!(jobs::submit))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::show_stats))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route_layer(middleware::from_fn_with_state(
            CompatAccess {
                token: api.token.clone(),
                anonymous: api.compat_tenant.clone(),
            },
            auth::allow_anonymous_compat,
        ));
    let closed = OpenApiRouter::default()
        .routes(routes!(jobs::list))
        .routes(routes!(taskflow::submit))
        .routes(routes!(taskflow::show))
        .route_layer(middleware::from_fn_with_state(
            api.token.clone(),
            auth::require_token,
        ));
    open.merge(closed)
}

/// Parses a body, or refuses it with this detail. Serde would also accept an array, by the order of the fields.
fn parse<T: DeserializeOwned>(body: Value, refusal: &str) -> Result<T, Problem> {
    let fields = Some(body).filter(Value::is_object);
    let parsed = fields.and_then(|fields| serde_json::from_value(fields).ok());
    parsed.ok_or_else(|| Problem::invalid_task(refusal))
}

fn accepted<T>(body: T) -> Accepted<T> {
    Ok((StatusCode::ACCEPTED, Json(body)))
}

/// A text or an image, as two of the systems took it.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({ "type": "text", "data": "I love this project!" })))]
struct SimpleSubmission {
    #[serde(rename = "type", deserialize_with = "by_name")]
    #[schema(inline)]
    kind: SimpleKind,
    /// The text, or the image's file in base64.
    data: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SimpleKind {
    Text,
    Image,
}

impl SimpleSubmission {
    fn parse(body: Value) -> Result<Self, Problem> {
        parse(
            body,
            r#"the body is not a task: send {"type": "text", "data": "..."} or {"type": "image", "data": "<base64>"}"#,
        )
    }

    /// The same as a submission to `/v1/tasks`.
    fn into_present(self) -> Value {
        match self.kind {
            SimpleKind::Text => json!({ "type": TaskType::Sentiment, "input": { "text": self.data } }),
            SimpleKind::Image => json!({ "type": TaskType::FaceDetection, "input": { "image": self.data } }),
        }
    }
}

/// What those systems answered for a task that has ended.
#[derive(Serialize)]
#[serde(untagged)]
enum SimpleResult {
    Sentiment {
        label: &'static str,
        score: f64,
    },
    Faces {
        /// Null if the result is too large for the task's item.
        faces: Option<usize>,
    },
    /// A type that those systems did not have.
    Other(Value),
}

impl SimpleResult {
    /// `None` before the task is completed.
    fn new(task: &Task) -> Result<Option<Self>, Problem> {
        if task.status != Status::Completed {
            return Ok(None);
        }
        Ok(Some(match &task.result {
            Some(TaskResult::Sentiment(sentiment)) => {
                // These systems had two labels: a text that is too close to call has the nearer one.
                let positive = f64::from(sentiment.positive);
                let (label, score) = if positive >= 0.5 {
                    ("POSITIVE", positive)
                } else {
                    ("NEGATIVE", 1.0 - positive)
                };
                Self::Sentiment { label, score }
            }
            Some(TaskResult::FaceDetection(detection)) => Self::Faces {
                faces: Some(detection.count),
            },
            None if task.task_type == TaskType::FaceDetection => Self::Faces { faces: None },
            result => Self::Other(to_value(result)?),
        }))
    }
}

/// The status that two of the systems had, for a task of today.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SharedStatus {
    Pending,
    Processing,
    Completed,
    Failed,
}

impl From<Status> for SharedStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Blocked | Status::Pending => Self::Pending,
            Status::Processing => Self::Processing,
            Status::Completed => Self::Completed,
            Status::Failed | Status::Cancelled => Self::Failed,
        }
    }
}

/// Why a task has no result and will have none.
fn failure(task: &Task) -> Option<String> {
    match task.status {
        Status::Failed => Some(match &task.error {
            Some(error) => error.message.clone(),
            None => "it failed".to_owned(),
        }),
        Status::Cancelled => Some("it was cancelled".to_owned()),
        _ => None,
    }
}

/// The part of a result that two of the systems answered. Null if the task has no result in its item.
fn main_part(result: Option<&TaskResult>) -> Result<Value, Problem> {
    Ok(match result {
        Some(TaskResult::Summary(it)) => json!(it.summary),
        Some(TaskResult::Classification(it)) => json!(it.label),
        Some(TaskResult::Translation(it)) => json!(it.text),
        Some(TaskResult::Page(it)) => json!(it.text),
        Some(TaskResult::Transcript(it)) => json!(it.text),
        Some(TaskResult::Extraction(it)) => json!(it.fields),
        result => to_value(&result)?,
    })
}

/// The signed address of a result that is too large for the task's item.
async fn output_url(task: &Task, api: &ApiState) -> Result<Option<String>, Problem> {
    let Some(object) = &task.result_object else {
        return Ok(None);
    };
    Ok(Some(api.payloads.link(object, LINK_EXPIRES_IN).await?))
}

fn to_value(part: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(part).map_err(Problem::unwritable)
}

/// The task that the path names.
struct NamedTask(Task);

impl FromRequestParts<Arc<ApiState>> for NamedTask {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<ApiState>) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, api).await.ok();
        let id: Option<TaskId> = id.and_then(|Path(id)| id.parse().ok());
        let tenant = parts.extensions.get::<Tenant>();
        let (id, tenant) = id.zip(tenant).ok_or_else(Problem::task_not_found)?;
        let task = api.tasks.get(tenant, id).await?;
        task.map(Self).ok_or_else(Problem::task_not_found)
    }
}

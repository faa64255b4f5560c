//! AI TaskFlow.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use mesh_http::{JsonBody, Problem};
use mesh_task::{TaskId, TaskType, by_name};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use super::{Accepted, NamedTask, SharedStatus, accepted, failure, main_part, output_url, parse};
use crate::state::ApiState;
use crate::submission::Submitter;
use crate::tasks::input_value;

#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({
    "task_type": "classify",
    "input": { "text": "The goalkeeper saved a penalty.", "categories": ["sports", "cooking"] },
})))]
struct Submission {
    #[serde(deserialize_with = "by_name")]
    #[schema(inline)]
    task_type: PlatformType,
    #[serde(default)]
    #[schema(schema_with = input_schema, required)]
    input: Value,
}

fn input_schema() -> Object {
    let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
    object.required("text").build()
}

/// The task types of this system.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PlatformType {
    Summarize,
    Translate,
    Classify,
    DataExtraction,
}

impl From<PlatformType> for TaskType {
    fn from(platform_type: PlatformType) -> Self {
        match platform_type {
            PlatformType::Summarize => Self::Summarize,
            PlatformType::Translate => Self::Translate,
            PlatformType::Classify => Self::Classify,
            PlatformType::DataExtraction => Self::DataExtraction,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Submitted {
    id: TaskId,
    #[schema(inline)]
    task_type: PlatformType,
    #[schema(inline)]
    status: SharedStatus,
    #[schema(value_type = Object)]
    input: Value,
}

/// Submit a text to be summarized, translated, classified, or read for fields
#[utoipa::path(
    post,
    path = "/api/v1/tasks",
    tag = "earlier systems",
    operation_id = "compat_create_platform_task",
    request_body = inline(Submission),
    responses((status = 202, description = "The task is accepted.", body = inline(Submitted))),
)]
pub(crate) async fn submit(submitter: Submitter, JsonBody(body): JsonBody) -> Accepted<Submitted> {
    let Submission { task_type, input } = parse(
        body,
        r#"unknown task_type: send {"task_type": "...", "input": {...}} with one of summarize, translate, classify, data_extraction"#,
    )?;
    let mut present = input.clone();
    rename(&mut present, "categories", "labels");
    let body = json!({ "type": TaskType::from(task_type), "input": present });
    let task = submitter.create(body).await?;
    accepted(Submitted {
        id: task.id,
        task_type,
        status: task.status.into(),
        input,
    })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PlatformTask {
    id: TaskId,
    task_type: TaskType,
    #[schema(inline)]
    status: SharedStatus,
    #[schema(value_type = Object)]
    input: Value,
    /// The main part of the result, or `{"error": "..."}`. Null while the task is not final, and if the result is too large
    /// for the task's item.
    result: Value,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// The signed address of a result that is too large for the task's item.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    output_url: Option<String>,
}

/// A task, with its result once there is one
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}",
    tag = "earlier systems",
    operation_id = "compat_show_platform_task",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task.", body = inline(PlatformTask)), (status = 404)),
)]
pub(crate) async fn show(
    State(api): State<Arc<ApiState>>,
    NamedTask(task): NamedTask,
) -> Result<Json<PlatformTask>, Problem> {
    let output_url = output_url(&task, &api).await?;
    let result = match failure(&task) {
        Some(message) => json!({ "error": message }),
        None => main_part(task.result.as_ref())?,
    };
    let mut input = input_value(task.payload);
    rename(&mut input, "labels", "categories");
    Ok(Json(PlatformTask {
        id: task.id,
        task_type: task.task_type,
        status: task.status.into(),
        input,
        result,
        created_at: task.created_at,
        updated_at: task.updated_at,
        output_url,
    }))
}

fn rename(input: &mut Value, from: &str, to: &str) {
    if let Value::Object(fields) = input
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

//! A task as its owner reads it.

use std::time::Duration;

use jiff::Timestamp;
use mesh_api_types::{AttemptView, Link, TaskView};
use mesh_http::Problem;
use mesh_task::{ObjectRef, Payload, Task};
use serde_json::{Value, json};

use crate::state::ApiState;

/// How long a link to an input or a result is valid.
pub(crate) const LINK_EXPIRES_IN: Duration = Duration::from_mins(15);

/// Signs a link if the input is an object, and another if the result is.
pub(crate) async fn task_view(task: Task, api: &ApiState) -> Result<TaskView, Problem> {
    let input_link = match &task.payload {
        Payload::Object { object, .. } => Some(link(object.clone(), api).await?),
        Payload::Inline(_) => None,
    };
    let result_link = match task.result_object.clone() {
        Some(object) => Some(link(object, api).await?),
        None => None,
    };
    let attempts = task
        .history_with_outcomes()
        .into_iter()
        .map(AttemptView::from)
        .collect();
    let (model, timings, usage) = match task.report {
        Some(report) => (Some(report.model), Some(report.timings), report.usage),
        None => (None, None, None),
    };
    Ok(TaskView {
        id: task.id,
        task_type: task.task_type,
        size: task.size,
        priority: task.priority,
        status: task.status,
        input: input_value(task.payload),
        input_link,
        metadata: task.metadata,
        result: task.result,
        result_link,
        error: task.error,
        model,
        timings,
        usage,
        generation: task.generation,
        attempt: task.attempt,
        max_attempts: task.max_attempts,
        timeout_seconds: task.timeout_seconds,
        correlation_id: task.correlation_id,
        attempts,
        created_at: task.created_at,
        updated_at: task.updated_at,
        next_attempt_at: task.next_attempt_at,
    })
}

/// The input itself. If its content is an object: the parameters, and a reference to the object.
pub(crate) fn input_value(payload: Payload) -> Value {
    match payload {
        Payload::Inline(input) => input,
        Payload::Object {
            object,
            mut parameters,
        } => {
            let object = json!({
                "key": object.key,
                "bytes": object.bytes,
                "content_type": object.content_type,
                "sha256": object.sha256,
            });
            parameters.insert("object".to_owned(), object);
            parameters.into()
        }
    }
}

async fn link(object: ObjectRef, api: &ApiState) -> Result<Link, Problem> {
    let expires_at = Timestamp::now() + LINK_EXPIRES_IN;
    let url = api.payloads.link(&object, LINK_EXPIRES_IN).await?;
    Ok(Link {
        url,
        expires_at,
        bytes: object.bytes,
        content_type: object.content_type,
        sha256: object.sha256,
    })
}

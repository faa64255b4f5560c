//! `POST /v1/tasks`: takes one task.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use mesh_aws::{KeyRecord, Pinned, ReadError};
use mesh_http::{CorrelationId, Denied, IdempotencyKey, JsonBody, Problem};
use mesh_language::Schema;
use mesh_task::{
    Input, InvalidInput, InvalidSubmission, NewTask, Parameters, Payload, Size, Status, StoredInput,
    Submitted, Task, TaskDraft, TaskId, TaskType, Tenant, UploadId, Uploaded,
};
use mesh_telemetry::tenant_hash;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::app::Api;

/// What is answered for a task that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedTask)]
pub(crate) struct Accepted {
    id: TaskId,
    #[serde(rename = "type")]
    task_type: TaskType,
    status: Status,
    links: Links,
}

/// Paths below the API's address, and the address of the task's events.
#[derive(Serialize, ToSchema)]
struct Links {
    #[serde(rename = "self")]
    itself: String,
    wait: String,
    /// Where it is told what happens to the task, if the stack has an event stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    events: Option<String>,
}

/// Who submits, and how a repeat is known.
pub(crate) struct Submitter {
    source: Source,
    key: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Submitter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let tenant = parts.extensions.get().cloned().ok_or(Denied::NoToken)?;
        let IdempotencyKey(key) = IdempotencyKey::from_request_parts(parts, state).await?;
        let CorrelationId(correlation_id) = CorrelationId::from_request_parts(parts, state).await?;
        Ok(Self {
            source: Source {
                tenant,
                correlation_id,
            },
            key,
        })
    }
}

/// Accepts one task.
#[utoipa::path(
    post,
    path = "/v1/tasks",
    tag = "tasks",
    operation_id = "submit_task",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat safe: for 24 hours the same key with the same body gives what the first request gave.", max_length = 255, pattern = "^[!-~]+$"), ("X-Correlation-Id" = Option<String>, Header, description = "What the logs of all that handle the task shall know it by; if it is left out, the trace id of `traceparent`, else the request's own id.", max_length = 128, pattern = "^[!-~]+$")),
    request_body(content = ref("#/components/schemas/Submission")),
    responses((status = 202, description = "The task is written and its message sent.", body = Accepted)),
)]
pub(crate) async fn submit(
    State(api): State<Arc<Api>>,
    by: Submitter,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let task = take(&api, by, body).await?;
    let accepted = Accepted::of(&api, task.id, task.task_type, task.status);
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// Keeps the task and rings for it: only then it is accepted.
pub(crate) async fn take(api: &Api, by: Submitter, body: Value) -> Result<Task, Problem> {
    let Submitter { source, key } = by;
    let request_sha256 = key.is_some().then(|| fingerprint(&body));
    let new = check(body)?;
    let id = match key.zip(request_sha256) {
        Some((key, request_sha256)) => id_of(api, &source.tenant, &key, request_sha256).await?,
        None => Id::New(TaskId::generate()),
    };
    let task = match id {
        Id::New(id) => keep(api, &source, id, new).await?,
        // The first request may have been cut off anywhere: what it left undone is done now.
        Id::Known(id) => match api.table.get(&source.tenant, id).await? {
            Some(task) => task,
            None => keep(api, &source, id, new).await?,
        },
    };
    if task.status == Status::Pending {
        api.queues
            .of(task.lane())
            .send(&task.message(), Duration::ZERO)
            .await?;
    }
    tracing::info!(
        task_id = %task.id,
        task_type = task.task_type.as_str(),
        tenant_hash = tenant_hash(&task.tenant),
        "a task is accepted"
    );
    Ok(task)
}

impl Accepted {
    pub(super) fn of(api: &Api, id: TaskId, task_type: TaskType, status: Status) -> Self {
        let itself = format!("/v1/tasks/{id}");
        let links = Links {
            wait: format!("{itself}?wait=20"),
            events: api.events_at(&format!("{itself}/events")),
            itself,
        };
        Self {
            id,
            task_type,
            status,
            links,
        }
    }
}

/// The id of a request's task, or of its first.
pub(super) enum Id {
    New(TaskId),
    /// That of an earlier request of the same key. Its task may not have been written.
    Known(TaskId),
}

/// The id that follows from an idempotency key: the first request under it decides.
pub(super) async fn id_of(
    api: &Api,
    tenant: &Tenant,
    key: &str,
    request_sha256: String,
) -> Result<Id, Problem> {
    let record = KeyRecord {
        request_sha256,
        task_id: TaskId::generate(),
    };
    let remembered = api
        .table
        .remember(tenant, key, record.clone(), Timestamp::now())
        .await?;
    if remembered == record {
        Ok(Id::New(record.task_id))
    } else if remembered.request_sha256 == record.request_sha256 {
        Ok(Id::Known(remembered.task_id))
    } else {
        Err(Problem::idempotency_key_reused())
    }
}

/// Checks a submission by itself, before anything is asked of anyone.
pub(super) fn check(body: Value) -> Result<NewTask, Problem> {
    let new = NewTask::parse(body)?;
    check_schema(&new)?;
    Ok(new)
}

/// Refuses a schema that no answer could be held to, before anything is kept.
fn check_schema(new: &NewTask) -> Result<(), Problem> {
    let Parameters::DataExtraction(asked) = new.input.parameters() else {
        return Ok(());
    };
    match Schema::parse(asked.schema.clone()) {
        Ok(_) => Ok(()),
        Err(why) => Err(InvalidSubmission::from(InvalidInput(format!("input.schema {why}"))).into()),
    }
}

/// Where a task comes from.
pub(super) struct Source {
    pub(super) tenant: Tenant,
    pub(super) correlation_id: String,
}

/// Writes the task, or finds it written.
pub(super) async fn keep(api: &Api, source: &Source, id: TaskId, new: NewTask) -> Result<Task, Problem> {
    let task = prepare(api, source, id, new).await?;
    let standing = api.table.create(&task, api.retention).await?;
    Ok(standing.map_or(task, |standing| *standing))
}

/// Keeps the task's input, and makes what is to be written of it.
pub(super) async fn prepare(api: &Api, source: &Source, id: TaskId, new: NewTask) -> Result<Task, Problem> {
    let modality = new.input.parameters().modality();
    let (payload, size) = match new.input {
        Submitted::Whole(input) => store(api, &source.tenant, id, input).await?,
        Submitted::Uploaded(uploaded) => take_upload(api, &source.tenant, &uploaded).await?,
    };
    let policy = api.policies.of(new.task_type);
    let draft = TaskDraft {
        id,
        tenant: source.tenant.clone(),
        task_type: new.task_type,
        modality,
        size,
        priority: new.priority,
        payload,
        metadata: new.metadata,
        max_attempts: new.max_attempts.unwrap_or(policy.max_attempts),
        timeout_seconds: new.timeout_seconds,
        correlation_id: source.correlation_id.clone(),
    };
    let now = Timestamp::now();
    Ok(Task::new(draft, now, api.sweep_policy.first_check_at(now)))
}

/// Keeps an input that came with its request.
async fn store(api: &Api, tenant: &Tenant, id: TaskId, input: Input) -> Result<(Payload, Size), Problem> {
    let size = input.content.size();
    let payload = match input.into_stored() {
        StoredInput::Inline(input) => Payload::Inline(input),
        StoredInput::Object {
            body,
            content_type,
            parameters,
        } => {
            let object = api.payloads.put_input(tenant, id, body, content_type).await?;
            Payload::Object { object, parameters }
        }
    };
    Ok((payload, size))
}

/// The type that suits an upload where the caller names none: what is read of a picture, what is said in a recording,
/// the gist of a text.
pub(crate) async fn upload_type(api: &Api, tenant: &Tenant, id: UploadId) -> Result<TaskType, Problem> {
    let Pinned { object, head } = pin(api, tenant, id).await?;
    let types = [TaskType::Ocr, TaskType::Transcribe, TaskType::Summarize];
    let mut refusal = None;
    for task_type in types {
        let input = Submitted::parse(task_type, json!({ "upload": id })).map_err(InvalidSubmission::from)?;
        let Submitted::Uploaded(uploaded) = input else {
            continue;
        };
        match uploaded.accept(object.clone(), &head) {
            Ok(_) => return Ok(task_type),
            Err(error) => refusal = Some(error),
        }
    }
    let refusal = refusal.unwrap_or_else(|| InvalidInput("the upload is of no known kind".to_owned()));
    Err(InvalidSubmission::from(refusal).into())
}

async fn pin(api: &Api, tenant: &Tenant, id: UploadId) -> Result<Pinned, Problem> {
    let pinned = api.payloads.pin(id.key(tenant)).await;
    pinned.map_err(|error| match error {
        ReadError::Missing | ReadError::Changed => Problem::upload_not_found(id),
        ReadError::Cloud(error) => error.into(),
    })
}

/// Pins what was uploaded before.
async fn take_upload(api: &Api, tenant: &Tenant, uploaded: &Uploaded) -> Result<(Payload, Size), Problem> {
    let Pinned { object, head } = pin(api, tenant, uploaded.id).await?;
    uploaded
        .accept(object, &head)
        .map_err(|error| Problem::from(InvalidSubmission::from(error)))
}

/// The same for requests that say the same: the order of fields and the space between them do not count.
pub(super) fn fingerprint(body: &Value) -> String {
    hex::encode(Sha256::digest(body.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_in_any_order_of_its_fields() {
        let read = |text: &str| fingerprint(&serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"{"a": 1, "b": [2, 3]}"#), read(r#"{"b":[2,3],"a":1}"#));
        assert_ne!(read(r#"{"a": 1}"#), read(r#"{"a": "1"}"#));
    }
}

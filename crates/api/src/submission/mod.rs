//! Creates tasks. Every task of the API passes [`Submitter`]: `POST /v1/tasks` and the earlier systems' routes call
//! [`Submitter::create`], `POST /v1/tasks/batch` calls [`Submitter::create_batch`]. What must hold for each new task
//! belongs into one of the steps that both share:
//!
//! 1. [`Checker`] refuses what the request alone shows to be wrong. It calls nothing.
//! 2. `prepare` stores the input and makes the task. Nothing else in the API makes one.
//! 3. `store` writes the task, and a message is sent for it. A task is accepted only after both.
//!
//! A request with an idempotency key has its task id recorded before step 2, so that a repeat continues where the first
//! request stopped.

mod batch;
mod check;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::Timestamp;
use mesh_backend::KeyRecord;
use mesh_http::{CorrelationId, Denied, IdempotencyKey, Problem};
use mesh_task::{
    Input, NewTask, Payload, Size, Status, StoredInput, Submitted, Task, TaskDraft, TaskId, Tenant,
};
use mesh_telemetry::tenant_hash;
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::check::Checker;
use crate::state::ApiState;
pub(crate) use batch::{EntryOutcome, MAX_BATCH};

/// Creates the tasks of one request, for its tenant.
pub(crate) struct Submitter {
    api: Arc<ApiState>,
    tenant: Tenant,
    correlation_id: String,
    idempotency_key: Option<String>,
}

impl FromRequestParts<Arc<ApiState>> for Submitter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<ApiState>) -> Result<Self, Problem> {
        let tenant = parts.extensions.get().cloned().ok_or(Denied::NoToken)?;
        let IdempotencyKey(idempotency_key) = IdempotencyKey::from_request_parts(parts, api).await?;
        let CorrelationId(correlation_id) = CorrelationId::from_request_parts(parts, api).await?;
        Ok(Self {
            api: Arc::clone(api),
            tenant,
            correlation_id,
            idempotency_key,
        })
    }
}

/// The id of a request's task, or of a batch's first.
enum RequestTaskId {
    New(TaskId),
    /// An earlier request with the same key and body has it. Its task may not have been written.
    Known(TaskId),
}

impl Submitter {
    /// Creates the task that a body describes, or finds the one that an earlier request with this key created.
    pub(crate) async fn create(self, body: Value) -> Result<Task, Problem> {
        let request_sha256 = self.idempotency_key.is_some().then(|| fingerprint(&body));
        let new = Checker::default().check(body)?;
        let id = match self.idempotency_key.as_ref().zip(request_sha256) {
            Some((key, request_sha256)) => self.id_of_key(key, request_sha256).await?,
            None => RequestTaskId::New(TaskId::generate()),
        };
        let task = match id {
            RequestTaskId::New(id) => self.store(id, new).await?,
            // The first request may have stopped anywhere: do now what it did not do.
            RequestTaskId::Known(id) => match self.api.tasks.get(&self.tenant, id).await? {
                Some(task) => task,
                None => self.store(id, new).await?,
            },
        };
        if task.status == Status::Pending {
            self.api
                .queues
                .for_lane(task.lane())
                .send(&task.message(), Duration::ZERO)
                .await?;
        }
        tracing::info!(
            event = "task_accepted",
            task_id = %task.id,
            task_type = task.task_type.as_str(),
            tenant_hash = tenant_hash(&task.tenant),
            "a task is accepted"
        );
        Ok(task)
    }

    /// The id that belongs to an idempotency key. Of several requests with one key, the first decides.
    async fn id_of_key(&self, key: &str, request_sha256: String) -> Result<RequestTaskId, Problem> {
        let record = KeyRecord {
            request_sha256,
            task_id: TaskId::generate(),
        };
        let remembered = self
            .api
            .tasks
            .remember(&self.tenant, key, record.clone(), Timestamp::now())
            .await?;
        if remembered == record {
            Ok(RequestTaskId::New(record.task_id))
        } else if remembered.request_sha256 == record.request_sha256 {
            Ok(RequestTaskId::Known(remembered.task_id))
        } else {
            Err(Problem::idempotency_key_reused())
        }
    }

    /// Writes the task unless one with this id exists, and returns the one that is stored.
    async fn store(&self, id: TaskId, new: NewTask) -> Result<Task, Problem> {
        let task = self.prepare(id, new).await?;
        let existing = self.api.tasks.create(&task, self.api.retention).await?;
        Ok(existing.map_or(task, |existing| *existing))
    }

    /// Stores the input and makes the task, which is yet to be written.
    async fn prepare(&self, id: TaskId, new: NewTask) -> Result<Task, Problem> {
        let worker_kind = new.input.parameters().worker_kind();
        let (payload, size) = match new.input {
            Submitted::Whole(input) => self.store_input(id, input).await?,
            Submitted::Uploaded(uploaded) => self.take_upload(&uploaded).await?,
        };
        let policy = self.api.policies.for_type(new.task_type);
        let draft = TaskDraft {
            id,
            tenant: self.tenant.clone(),
            task_type: new.task_type,
            worker_kind,
            size,
            priority: new.priority,
            payload,
            metadata: new.metadata,
            max_attempts: new.max_attempts.unwrap_or(policy.max_attempts),
            timeout_seconds: new.timeout_seconds,
            correlation_id: self.correlation_id.clone(),
        };
        let now = Timestamp::now();
        Ok(Task::new(draft, now, self.api.sweep_policy.first_check_at(now)))
    }

    /// Stores an input that came with its request: in the task's item if it is small, else in the bucket.
    async fn store_input(&self, id: TaskId, input: Input) -> Result<(Payload, Size), Problem> {
        let size = input.content.size();
        let payload = match input.into_stored() {
            StoredInput::Inline(input) => Payload::Inline(input),
            StoredInput::Object {
                body,
                content_type,
                parameters,
            } => {
                let payloads = &self.api.payloads;
                let object = payloads.put_input(&self.tenant, id, body, content_type).await?;
                Payload::Object { object, parameters }
            }
        };
        Ok((payload, size))
    }
}

/// Equal for bodies that are equal as JSON: neither the order of fields nor white space counts.
fn fingerprint(body: &Value) -> String {
    hex::encode(Sha256::digest(body.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_does_not_depend_on_the_order_of_fields() {
        let read = |text: &str| fingerprint(&serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"{"a": 1, "b": [2, 3]}"#), read(r#"{"b":[2,3],"a":1}"#));
        assert_ne!(read(r#"{"a": 1}"#), read(r#"{"a": "1"}"#));
    }
}

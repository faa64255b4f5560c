//! Tasks as the API stores them, for a function to run.

use anyhow::{Result, bail};
use axum::body::Bytes;
use mesh_task::{
    Input, ObjectRef, Payload, Size, StoredInput, Submitted, Task, TaskDraft, TaskId, TaskType, Tenant,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A task, and the body of its object. The body is empty if the input is inline.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) task: Task,
    pub(crate) object: Bytes,
}

impl Work {
    /// Another task with the same input.
    pub(crate) fn copy(&self) -> Self {
        let mut copy = self.clone();
        copy.task.id = TaskId::generate();
        if let Payload::Object { object, .. } = &mut copy.task.payload {
            object.key = copy.task.id.to_string();
        }
        copy
    }
}

/// A task with a JSON input, stored as the API stores it.
pub(crate) fn json_task(task_type: TaskType, input: Value) -> Result<Work> {
    match Submitted::parse(task_type, input)? {
        Submitted::Whole(input) => Ok(work(task_type, input)),
        Submitted::Uploaded(_) => bail!("the input refers to an upload"),
    }
}

/// A task with an uploaded file.
pub(crate) fn file_task(task_type: TaskType, file: &[u8]) -> Result<Work> {
    let input = Input::from_object(task_type, Map::new(), "application/octet-stream", file.to_vec())?;
    Ok(work(task_type, input))
}

fn work(task_type: TaskType, input: Input) -> Work {
    let worker_kind = input.parameters.worker_kind();
    let id = TaskId::generate();
    let (payload, object) = match input.into_stored() {
        StoredInput::Inline(value) => (Payload::Inline(value), Vec::new()),
        StoredInput::Object {
            body,
            content_type,
            parameters,
        } => (
            Payload::Object {
                object: ObjectRef {
                    key: id.to_string(),
                    etag: "\"bench\"".to_owned(),
                    sha256: hex::encode(Sha256::digest(&body)),
                    bytes: body.len() as u64,
                    content_type: content_type.to_owned(),
                },
                parameters,
            },
            body,
        ),
    };
    let now = jiff::Timestamp::now();
    let draft = TaskDraft {
        id,
        tenant: Tenant::first(),
        task_type,
        worker_kind,
        size: Size::Small,
        priority: mesh_task::Priority::Normal,
        payload,
        metadata: [].into(),
        max_attempts: 3,
        timeout_seconds: None,
        correlation_id: String::new(),
    };
    Work {
        task: Task::new(draft, now, now),
        object: object.into(),
    }
}

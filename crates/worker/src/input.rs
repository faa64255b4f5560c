//! Brings a claimed task's input, from its item or from the payload bucket.

use mesh_cloud::{Payloads, ReadError};
use mesh_task::{Input, Payload, RunError, Task, code};

/// The input of a task.
///
/// # Errors
/// Permanent when the input is gone, changed or unreadable; transient when the bucket did not answer.
pub(crate) async fn load(payloads: &Payloads, task: &Task) -> Result<Input, RunError> {
    let input = match &task.payload {
        Payload::Inline(input) => Input::parse(task.task_type, input.clone()),
        Payload::Object(object) => {
            let body = payloads
                .read(object)
                .await
                .map_err(|error| unread(&error, task))?;
            Input::from_object(task.task_type, body)
        }
    };
    input.map_err(|error| RunError::permanent(code::PAYLOAD_CHANGED, error.0))
}

fn unread(error: &ReadError, task: &Task) -> RunError {
    match error {
        ReadError::Missing => RunError::permanent(
            code::PAYLOAD_MISSING,
            "the stored input is gone: submit the task again",
        ),
        ReadError::Changed => RunError::permanent(
            code::PAYLOAD_CHANGED,
            "the stored input was changed after it was submitted: submit the task again",
        ),
        ReadError::Cloud(error) => {
            tracing::warn!(task = %task.id, %error, "an input could not be read");
            RunError::transient(
                code::STORAGE_UNAVAILABLE,
                "the storage that holds the input did not answer",
            )
        }
    }
}

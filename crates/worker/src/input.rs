//! Brings a claimed task's input, from its item or from the payload bucket.

use mesh_aws::{Payloads, ReadError};
use mesh_task::{Input, Payload, RunError, Task, code};

/// The input of a task.
///
/// # Errors
/// Permanent when the input is gone or changed at the second look, or unreadable; transient or throttled when the bucket
/// did not answer.
pub(crate) async fn load(payloads: &Payloads, task: &Task) -> Result<Input, RunError> {
    let input = match &task.payload {
        Payload::Inline(input) => Input::from_inline(task.task_type, input.clone()),
        Payload::Object { object, parameters } => {
            let body = payloads
                .read(object)
                .await
                .map_err(|error| unread(&error, task))?;
            Input::from_object(task.task_type, parameters.clone(), &object.content_type, body)
        }
    };
    input.map_err(|error| RunError::permanent(code::INVALID_INPUT, error.0))
}

fn unread(error: &ReadError, task: &Task) -> RunError {
    // An object that seems to be missing or another gets a second look before its task fails for good.
    let is_first_look = task.attempt == 1 && task.max_attempts > 1;
    let damaged = |code, told| {
        if is_first_look {
            RunError::transient(code, told)
        } else {
            RunError::permanent(code, told)
        }
    };
    match error {
        ReadError::Missing => damaged(
            code::PAYLOAD_MISSING,
            "the stored input is gone: submit the task again",
        ),
        ReadError::Changed => damaged(
            code::PAYLOAD_CHANGED,
            "the stored input was changed after it was submitted: submit the task again",
        ),
        ReadError::Aws(error) if error.is_throttling() => {
            RunError::throttled(code::THROTTLED, "the payload bucket is asked too often", None)
        }
        ReadError::Aws(error) => {
            tracing::warn!(task = %task.id, %error, "an input could not be read");
            unanswered()
        }
    }
}

/// The bucket did not answer, or not in time.
pub(crate) fn unanswered() -> RunError {
    RunError::transient(
        code::STORAGE_UNAVAILABLE,
        "the storage that holds the input did not answer",
    )
}

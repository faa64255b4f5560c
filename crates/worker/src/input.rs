//! Reads a claimed task's input, from its item or from the payload bucket.

use mesh_backend::{PayloadStore, ReadError};
use mesh_task::{ErrorCode, Input, Payload, RunError, Task};

/// The input of a task.
///
/// # Errors
/// Permanent when the input is not valid, or still missing or changed in the second attempt. Transient or throttled when the
/// payload bucket does not return it.
pub(crate) async fn load(payloads: &dyn PayloadStore, task: &Task) -> Result<Input, RunError> {
    let input = match &task.payload {
        Payload::Inline(input) => Input::from_inline(task.task_type, input.clone()),
        Payload::Object { object, parameters } => {
            let body = payloads
                .read(object)
                .await
                .map_err(|error| read_error(&error, task))?;
            Input::from_object(task.task_type, parameters.clone(), &object.content_type, body)
        }
    };
    input.map_err(|error| RunError::permanent(ErrorCode::InvalidInput, error.0))
}

fn read_error(error: &ReadError, task: &Task) -> RunError {
    // A missing or changed object is read a second time before its task fails for good.
    let is_first_read = task.attempt == 1 && task.max_attempts > 1;
    let damaged = |code, message| {
        if is_first_read {
            RunError::transient(code, message)
        } else {
            RunError::permanent(code, message)
        }
    };
    match error {
        ReadError::Missing => damaged(
            ErrorCode::PayloadMissing,
            "the stored input is missing: submit the task again",
        ),
        ReadError::Changed => damaged(
            ErrorCode::PayloadChanged,
            "the stored input was changed after it was submitted: submit the task again",
        ),
        ReadError::Backend(error) if error.is_throttling() => RunError::throttled(
            ErrorCode::Throttled,
            "the payload bucket limits the request rate: try again later",
            None,
        ),
        ReadError::Backend(error) => {
            tracing::warn!(event = "input_not_read", task_id = %task.id, %error, "an input could not be read");
            storage_unavailable()
        }
    }
}

/// The error of an attempt whose input the payload bucket did not return in time.
pub(crate) fn storage_unavailable() -> RunError {
    RunError::transient(
        ErrorCode::StorageUnavailable,
        "the payload bucket did not return the input: try again later",
    )
}

//! Tasks whose input was uploaded before.

use mesh_backend::{Pinned, ReadError};
use mesh_http::Problem;
use mesh_task::{InvalidInput, InvalidSubmission, Payload, Size, Submitted, TaskType, UploadId, Uploaded};
use serde_json::json;

use super::Submitter;

impl Submitter {
    /// The task type that suits an upload if the caller names none: an image is read, a recording is transcribed, a text
    /// is summarized.
    pub(crate) async fn upload_type(&self, id: UploadId) -> Result<TaskType, Problem> {
        let Pinned { object, head } = self.pin(id).await?;
        let types = [TaskType::Ocr, TaskType::Transcribe, TaskType::Summarize];
        let mut refusal = None;
        for task_type in types {
            let input =
                Submitted::parse(task_type, json!({ "upload": id })).map_err(InvalidSubmission::from)?;
            let Submitted::Uploaded(uploaded) = input else {
                continue;
            };
            match uploaded.accept(object.clone(), &head) {
                Ok(_) => return Ok(task_type),
                Err(error) => refusal = Some(error),
            }
        }
        let refusal = refusal
            .unwrap_or_else(|| InvalidInput("the upload is not a text, an image or a recording".to_owned()));
        Err(InvalidSubmission::from(refusal).into())
    }

    /// Checks an upload by its content, and returns the payload that refers to it.
    pub(super) async fn take_upload(&self, uploaded: &Uploaded) -> Result<(Payload, Size), Problem> {
        let Pinned { object, head } = self.pin(uploaded.id).await?;
        uploaded
            .accept(object, &head)
            .map_err(|error| Problem::from(InvalidSubmission::from(error)))
    }

    /// Looks an upload up among the tenant's own, and pins the version that is there now.
    async fn pin(&self, id: UploadId) -> Result<Pinned, Problem> {
        let pinned = self.api.payloads.pin(id.key(&self.tenant)).await;
        pinned.map_err(|error| match error {
            ReadError::Missing | ReadError::Changed => Problem::upload_not_found(id),
            ReadError::Backend(error) => error.into(),
        })
    }
}

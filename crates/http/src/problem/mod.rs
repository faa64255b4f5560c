//! Every answer that is not a success: problem details (RFC 9457).
//!
//! `type` is a contract: a client may branch on it. `detail` is a sentence for people that says what is wrong, then what to
//! do. The cause of a failure goes to the log, under the request id that the caller gets, and never into an answer.

mod details;
mod kind;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mesh_api_types::ProblemDocument;
use mesh_task::{InvalidSubmission, SubmissionRefusal};

use crate::Denied;
pub use kind::ProblemKind;

/// A detail that quotes the request must not grow with it: a batch is answered with up to 1,000 problems, and Lambda takes an
/// answer of 6 MB. So this is its length as JSON, in which a control character takes six bytes.
const MAX_DETAIL_BYTES: usize = 1_024;

/// A refusal, or a failure of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
}

impl Problem {
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some(end) = end_of_room(&detail) {
            detail.truncate(end);
            detail.push('…');
        }
        Self { kind, detail }
    }

    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The document that the caller gets.
    #[must_use]
    pub fn document(&self, request_id: &str) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:ai-mesh:problem:{}", self.kind.slug()),
            title: self.kind.title().to_owned(),
            status: self.status().as_u16(),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
        }
    }
}

/// Where a text is cut that takes more than its room in JSON.
fn end_of_room(text: &str) -> Option<usize> {
    let mut left = MAX_DETAIL_BYTES;
    let too_long = text.char_indices().find(|(_, character)| {
        let bytes = match character {
            '"' | '\\' => 2,
            '\0'..='\u{1f}' => 6,
            _ => character.len_utf8(),
        };
        left.checked_sub(bytes).is_none_or(|rest| {
            left = rest;
            false
        })
    });
    too_long.map(|(at, _)| at)
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(ProblemKind::Unauthorized, denied.to_string())
    }
}

impl From<InvalidSubmission> for Problem {
    fn from(invalid: InvalidSubmission) -> Self {
        let kind = match invalid.refusal {
            SubmissionRefusal::Shape => ProblemKind::InvalidTask,
            SubmissionRefusal::TaskType => ProblemKind::UnknownTaskType,
            SubmissionRefusal::Input => ProblemKind::InvalidInput,
            SubmissionRefusal::Limits => ProblemKind::InvalidLimits,
            SubmissionRefusal::Priority => ProblemKind::InvalidPriority,
            SubmissionRefusal::Metadata => ProblemKind::InvalidMetadata,
        };
        Self::new(kind, invalid.message)
    }
}

impl IntoResponse for Problem {
    /// Leaves the problem with the response, for the renderer, which knows the request.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_does_not_grow_with_the_request() {
        let error = serde_json::from_str::<u8>(&format!("\"{}\"", "é".repeat(100_000))).unwrap_err();
        let problem = Problem::invalid_json(&error);
        assert!(problem.detail.len() <= MAX_DETAIL_BYTES + '…'.len_utf8());
        let short = "é".repeat(MAX_DETAIL_BYTES / 2);
        assert_eq!(Problem::invalid_body(short.clone()).detail, short);
    }

    #[test]
    fn a_detail_is_as_short_in_json() {
        for character in ["\u{1}", "\u{1f}", "\n", "\"", "\\", "a", "é", "💡"] {
            let problem = Problem::invalid_body(character.repeat(2_000));
            let json = serde_json::to_string(&problem.detail).unwrap();
            // The quotes and the ellipsis come on top.
            assert!(
                json.len() <= MAX_DETAIL_BYTES + 5,
                "{character:?}: {}",
                json.len()
            );
        }
    }
}

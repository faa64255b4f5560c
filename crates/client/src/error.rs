//! Why a call failed.

use mesh_api_types::ProblemDocument;

/// Why there is no usable response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address, the token or an environment variable is missing or invalid.
    #[error("{0}")]
    Setup(String),
    /// The API refused the request, or failed and said why.
    #[error(transparent)]
    Problem(#[from] ProblemDocument),
    /// The response is not the API's: a gateway or another server sent it.
    #[error("{}", unexpected_response(*status))]
    UnexpectedResponse { status: u16 },
    /// The payload bucket refused an upload.
    #[error("the storage refused the upload with status {status}: try again")]
    NotStored { status: u16 },
    /// No connection was made, or it closed before the response was complete.
    #[error("cannot reach the API at {address}: check the address, and that the stack is deployed")]
    Unreachable {
        /// The request's address, without its query.
        address: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The response did not arrive in time.
    #[error("the API did not respond within {seconds} s: try again")]
    TimedOut { seconds: u64 },
    /// A result's signed link expired, or was cut off when it was copied.
    #[error(
        "the result's link is not valid (status {status}): get the task again, because a link expires after 15 minutes"
    )]
    Expired { status: u16 },
    /// The task did not become final within the timeout.
    #[error("task {id} is not final after {seconds} s: wait for it again")]
    NotFinal { id: mesh_task::TaskId, seconds: u64 },
    /// The bytes behind a result's link do not have the checksum that the API gave.
    #[error("the result does not match its checksum: get the task again")]
    ChecksumMismatch,
    /// A success whose body this version of the client cannot parse.
    #[error("cannot parse the API's response: check that the client is not older than the API")]
    Unreadable(#[source] serde_json::Error),
}

/// What a status means that the API itself did not send.
fn unexpected_response(status: u16) -> String {
    match status {
        413 => "a gateway in front of the API refused the request as too large (status 413): send less at \
                once, or upload the content first"
            .to_owned(),
        429 | 500.. => {
            format!("a gateway in front of the API responded with status {status}: try again in a minute")
        }
        _ => format!("the response with status {status} is not from the API: check the address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_an_unexpected_response_says_what_to_do() {
        for (status, advice) in [
            (200, "check the address"),
            (404, "check the address"),
            (413, "send less"),
            (429, "try again"),
            (504, "try again"),
        ] {
            let message = Error::UnexpectedResponse { status }.to_string();
            assert!(
                message.contains(advice) && message.contains(&format!("status {status}")),
                "{message}"
            );
        }
    }
}

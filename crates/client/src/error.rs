//! Why a call did not give what was asked for.

use serde::{Deserialize, Serialize};

/// A refusal, or a failure, in the API's own words (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, thiserror::Error)]
#[error("{title}: {detail} ({status}, request {request_id})")]
pub struct Problem {
    /// `urn:ai-mesh:problem:...`: stable, to branch on.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong and what to do.
    pub detail: String,
    /// By which the functions' logs know the request.
    pub request_id: String,
}

impl Problem {
    /// The last part of its type: `task-not-found`, say.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}

/// Why there is no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address, the token or an environment variable can't be used.
    #[error("{0}")]
    Setup(String),
    /// The API refused, or failed in its own words.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// Something between here and the API answered in its place.
    #[error("{}", of_stranger(*status))]
    Stranger {
        /// The HTTP status.
        status: u16,
    },
    /// The storage did not take an upload.
    #[error("the storage answers with status {status} and has not taken the upload: try again")]
    NotStored {
        /// The HTTP status.
        status: u16,
    },
    /// Nobody answered, or the connection broke off.
    #[error("the API can't be reached at {address}: is the stack up, and the address right?")]
    Unreachable {
        /// The address that was asked.
        address: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API was reached and did not answer in time.
    #[error("the API did not answer within {seconds} s: try again")]
    TimedOut {
        /// How long it was waited for.
        seconds: u64,
    },
    /// A link's time is over, or it was cut short.
    #[error(
        "the result's address answers with status {status}: it is good for 15 minutes, ask for the task again"
    )]
    Expired {
        /// The HTTP status.
        status: u16,
    },
    /// The task did not become final in the time that was given.
    #[error("task {id} is not final after {seconds} s: wait for it again")]
    NotFinal {
        /// The task.
        id: mesh_task::TaskId,
        /// How long it was waited for.
        seconds: u64,
    },
    /// What lies at a result's address is not what the API told of.
    #[error("the result is not the one that the API told of: ask for the task again")]
    Changed,
    /// A success whose body is not what this version knows.
    #[error("the answer can't be read: is the client older than the API?")]
    Unreadable(#[source] serde_json::Error),
}

/// What the status of an answer that is none of the API's means for the one who asked.
fn of_stranger(status: u16) -> String {
    match status {
        413 => {
            "what stands before the API refused the request as too large (status 413): send less at once, or \
                upload the content first"
                .to_owned()
        }
        429 | 500.. => format!(
            "what stands before the API answered with status {status} in its place: try again in a minute"
        ),
        _ => format!("an answer of status {status} is none of the API's: check the address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_s_answer_says_what_to_do() {
        for (status, told) in [
            (200, "check the address"),
            (404, "check the address"),
            (413, "send less"),
            (429, "try again"),
            (504, "try again"),
        ] {
            let words = Error::Stranger { status }.to_string();
            assert!(
                words.contains(told) && words.contains(&format!("status {status}")),
                "{words}"
            );
        }
    }
}

//! How the program ends. Scripts rely on the exit codes; docs/CLI.md lists them.

use std::io;

use mesh_client::{Error, ProblemDocument};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Done = 0,
    /// A task failed or was cancelled, or `doctor` found something wrong on this machine.
    Failed = 1,
    /// The command line, the settings or one of the user's files is invalid. Clap uses the same code.
    Usage = 2,
    /// The API was not reached, says that it is unavailable, or sent an invalid response.
    Unavailable = 3,
    /// The API refused the request.
    Refused = 4,
    /// A task is not final, or was not within the timeout. timeout(1) uses the same code.
    NotFinal = 124,
    /// The terminal was closed. This code and the next two are 128 plus the signal's number, as in a shell.
    HungUp = 129,
    /// Ctrl-C.
    Interrupted = 130,
    /// `kill`.
    Terminated = 143,
}

/// An error that the user can correct. The message says how.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// A response of the API that can be parsed but contradicts the request.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidResponse(pub(crate) String);

/// The exit code for an error, and the message to print. There is no message when the reader closed standard output, as
/// `head` does.
pub(crate) fn from_error(error: &anyhow::Error) -> (Exit, Option<String>) {
    // This comes before the check for a broken pipe, because a lost connection may contain one, too.
    if let Some(error) = error.downcast_ref::<Error>() {
        return (from_client_error(error), Some(message(error)));
    }
    if let Some(error) = error.downcast_ref::<InvalidResponse>() {
        return (Exit::Unavailable, Some(error.to_string()));
    }
    let is_broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        kind == Some(io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(is_broken_pipe) {
        return (Exit::Done, None);
    }
    (Exit::Usage, Some(format!("{error:#}")))
}

/// The exit code for an error of the client.
pub(crate) fn from_client_error(error: &Error) -> Exit {
    match error {
        Error::Setup(_) => Exit::Usage,
        Error::Problem(problem) if problem.status == 429 || problem.status >= 500 => Exit::Unavailable,
        Error::Problem(_) | Error::UnexpectedResponse { status: 413 } => Exit::Refused,
        Error::NotFinal { .. } => Exit::NotFinal,
        _ => Exit::Unavailable,
    }
}

/// The message for an error of the client. For a problem it includes the request id, which finds the request in the
/// logs.
pub(crate) fn message(error: &Error) -> String {
    match error {
        Error::Problem(problem) => {
            let ProblemDocument {
                detail, request_id, ..
            } = problem;
            format!("{detail} ({}, request {request_id})", problem.slug())
        }
        Error::Unreachable { .. } => format!("{error}; `mesh doctor` shows the cause"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_reported_and_a_closed_stdout_is_not() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        let error = Error::Unreachable {
            address: "http://x.example".to_owned(),
            source: pipe().into(),
        };
        let (exit, message) = from_error(&error.into());
        assert_eq!(exit, Exit::Unavailable);
        assert!(message.is_some_and(|message| message.contains("http://x.example")));
        let written = anyhow::Error::from(pipe()).context("cannot write it");
        assert_eq!(from_error(&written), (Exit::Done, None));
    }
}

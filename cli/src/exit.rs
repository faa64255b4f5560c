//! How the program ends. The codes are a contract with scripts: docs/CLI.md lists them.

use std::io;

use mesh_client::{Error, Problem};

/// The program's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// A task failed or was cancelled, or something is wrong with the set-up.
    Failed = 1,
    /// The command line, the settings or a file of the user's can't be used. Clap's own code for it.
    Usage = 2,
    /// The API was not reached, says that it can't answer now, or gave an answer that can't be.
    Unavailable = 3,
    /// The API refused what was asked.
    Refused = 4,
    /// A task was not final in time. What timeout(1) answers.
    NotFinal = 124,
    /// Ended because its terminal was closed. What a shell answers, as for the two below.
    HungUp = 129,
    /// Ended by Ctrl-C.
    Interrupted = 130,
    /// Ended by `kill`.
    Terminated = 143,
}

/// What the user can set right: the message says how.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The error that `message` describes.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// What is wrong with an answer of the API's that reads well.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unsound(pub(crate) String);

/// How an error ends the program, and what is said of it. A reader that went away (`| head`) is none to speak of.
pub(crate) fn of(error: &anyhow::Error) -> (Exit, Option<String>) {
    // Before the pipes: a connection that breaks is one, too.
    if let Some(error) = error.downcast_ref::<Error>() {
        return (of_client(error), Some(in_words(error)));
    }
    if let Some(error) = error.downcast_ref::<Unsound>() {
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

/// How a call's error ends the program.
pub(crate) fn of_client(error: &Error) -> Exit {
    match error {
        Error::Setup(_) => Exit::Usage,
        Error::Problem(problem) if problem.status == 429 || problem.status >= 500 => Exit::Unavailable,
        Error::Problem(_) | Error::Stranger { status: 413 } => Exit::Refused,
        Error::NotFinal { .. } => Exit::NotFinal,
        _ => Exit::Unavailable,
    }
}

/// A call's error in one sentence, with what a log knows it by.
pub(crate) fn in_words(error: &Error) -> String {
    match error {
        Error::Problem(problem) => of_problem(problem),
        Error::Unreachable { .. } => format!("{error} `mesh doctor` looks closer"),
        other => other.to_string(),
    }
}

pub(crate) fn of_problem(problem: &Problem) -> String {
    let Problem {
        detail, request_id, ..
    } = problem;
    format!("{detail} ({}, request {request_id})", problem.slug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_is_told_and_a_reader_that_went_away_is_not() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        let error = Error::Unreachable {
            address: "http://x.example".to_owned(),
            source: pipe().into(),
        };
        let (exit, told) = of(&error.into());
        assert_eq!(exit, Exit::Unavailable);
        assert!(told.is_some_and(|told| told.contains("http://x.example")));
        let written = anyhow::Error::from(pipe()).context("it can't be written");
        assert_eq!(of(&written), (Exit::Done, None));
    }
}

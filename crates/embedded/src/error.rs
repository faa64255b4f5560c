//! Errors of the database and of the file system as errors of the backend.

use std::io;

use mesh_backend::BackendError;
use rusqlite::{ErrorCode, ffi};

/// The error of a call to the database. It contains nothing that is stored.
pub(crate) fn failed(call: &'static str, error: &rusqlite::Error) -> BackendError {
    let code = error.sqlite_error_code();
    let detail = match error {
        // Its text may quote the statement's values.
        rusqlite::Error::SqliteFailure(failure, _) => failure.to_string(),
        error => error.to_string(),
    };
    // The index of the log can't grow either; the error says so by another code.
    let is_index = error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE);
    match code {
        Some(ErrorCode::DiskFull) => BackendError::out_of_space(call, detail),
        _ if is_index => BackendError::out_of_space(call, detail),
        code => BackendError::failed(call, code.map(|code| format!("{code:?}")), detail),
    }
}

/// The error of a call to the file system.
pub(crate) fn file_failed(call: &'static str, error: &io::Error) -> BackendError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BackendError::out_of_space(call, error.to_string())
        }
        kind => BackendError::failed(call, Some(kind.to_string()), error.to_string()),
    }
}

/// The database is being closed.
pub(crate) fn stopped(call: &'static str) -> BackendError {
    BackendError::failed(call, None, "the database is closed".to_owned())
}

//! Errors of the database and of the file system as errors of the backend.

use std::io;

use mesh_backend::BackendError;
use rusqlite::{Connection, ErrorCode, ffi};

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

/// The error of a write to the database. A quota or a limit on a file's size is to SQLite a failure as any other: the system's
/// error says that it is not.
pub(crate) fn write_failed(
    call: &'static str,
    error: &rusqlite::Error,
    connection: &Connection,
) -> BackendError {
    let is_of_system = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
    );
    match is_of_system.then(|| system_error(connection)) {
        Some(error) if is_out_of_space(&error) => BackendError::out_of_space(call, error.to_string()),
        _ => failed(call, error),
    }
}

/// Why the connection's last call of the system failed.
#[expect(unsafe_code, reason = "rusqlite has no other way to this number")]
fn system_error(connection: &Connection) -> io::Error {
    // SAFETY: the connection is open, and only its owner uses it.
    io::Error::from_raw_os_error(unsafe { ffi::sqlite3_system_errno(connection.handle()) })
}

/// The error of a call to the file system.
pub(crate) fn file_failed(call: &'static str, error: &io::Error) -> BackendError {
    if is_out_of_space(error) {
        BackendError::out_of_space(call, error.to_string())
    } else {
        BackendError::failed(call, Some(error.kind().to_string()), error.to_string())
    }
}

/// Whether a write failed because the disk is full, a quota is used up, or the file may not become larger.
fn is_out_of_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// The database is being closed.
pub(crate) fn stopped(call: &'static str) -> BackendError {
    BackendError::failed(call, None, "the database is closed".to_owned())
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_full_disk_a_quota_and_a_limit_on_a_file_are_out_of_space() {
        for (number, expected) in [
            (Errno::NOSPC, true),
            (Errno::DQUOT, true),
            (Errno::FBIG, true),
            (Errno::IO, false),
            (Errno::ROFS, false),
        ] {
            let error = io::Error::from(number);
            assert_eq!(
                file_failed("write", &error).is_out_of_space(),
                expected,
                "{error}"
            );
        }
    }
}

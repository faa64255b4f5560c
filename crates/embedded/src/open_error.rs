//! Why a folder can't be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a data folder, or the folder of a backup, can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("{folder} is in use by process {process}: stop it first, or choose another folder", folder = folder.display())]
    InUse { folder: PathBuf, process: String },
    /// The database is damaged.
    #[error(
        "{file} is damaged ({damage}): move {folder} away, and restore a backup with `mesh-server restore BACKUP --data {folder}`",
        file = file.display(), folder = folder_of(file)
    )]
    Damaged { file: PathBuf, damage: String },
    /// A newer release wrote the database.
    #[error("{file} can't be used: {reason}", file = file.display())]
    Unusable { file: PathBuf, reason: String },
    /// A backup or a restore into it was cut off.
    #[error("{folder} is incomplete: what copied into it was cut off. Delete it, and copy again", folder = folder.display())]
    Incomplete { folder: PathBuf },
    /// There is nothing to copy or to check.
    #[error("{folder} has no mesh.db: name the data folder with --data, or the folder of a backup", folder = folder.display())]
    NoDatabase { folder: PathBuf },
    /// Nothing is copied over other files.
    #[error("{folder} is not empty: choose a new folder", folder = folder.display())]
    NotEmpty { folder: PathBuf },
    /// A copy must not become a part of what is copied.
    #[error("{folder} is inside the data folder: choose a folder elsewhere", folder = folder.display())]
    Inside { folder: PathBuf },
    /// SQLite can't be used there.
    #[error("{folder} is on a network file system ({kind}): choose a folder on a local disk", folder = folder.display())]
    Network { folder: PathBuf, kind: String },
    /// The file system failed.
    #[error("{file} can't be used: {error}", file = file.display())]
    File { file: PathBuf, error: io::Error },
}

impl OpenError {
    /// For `map_err`: what failed is about this file.
    pub(crate) fn at(file: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |error| Self::File { file, error }
    }

    /// For `map_err`: the database in this file did not do what was asked.
    pub(crate) fn in_database(file: &Path) -> impl FnOnce(rusqlite::Error) -> Self + use<> {
        let file = file.to_owned();
        move |error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => Self::Damaged {
                file,
                damage: error.to_string(),
            },
            _ => Self::Unusable {
                file,
                reason: error.to_string(),
            },
        }
    }
}

fn folder_of(file: &Path) -> std::path::Display<'_> {
    file.parent().unwrap_or(file).display()
}

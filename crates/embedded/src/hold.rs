//! Holds deletions back while a backup is made, across processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The file whose lock says who may delete: shared for a deletion, exclusive for a backup.
pub(crate) const DELETIONS: &str = "deletions.lock";

/// The right to delete, until it is dropped.
#[derive(Debug)]
pub(crate) struct Deletion {
    _lock: File,
}

impl Deletion {
    /// `None` while a backup is made.
    pub(crate) fn begin(folder: &Path) -> io::Result<Option<Self>> {
        let lock = open(folder)?;
        match lock.try_lock_shared() {
            Ok(()) => Ok(Some(Self { _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Nothing is deleted until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    _lock: File,
}

impl Hold {
    /// Waits for a deletion that is under way. Blocks.
    pub(crate) fn begin(folder: &Path) -> io::Result<Self> {
        let lock = open(folder)?;
        lock.lock()?;
        Ok(Self { _lock: lock })
    }
}

fn open(folder: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(DELETIONS))
}

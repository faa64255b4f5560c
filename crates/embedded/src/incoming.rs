//! A file that is being received. It is removed again unless it gets a place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_backend::BackendError;
use sha2::{Digest, Sha256};

use crate::durable::{Files, NewFile};
use crate::error::file_failed;

/// A file that is being received.
#[derive(Debug)]
pub struct Incoming {
    path: PathBuf,
    file: Box<dyn NewFile>,
    files: Arc<dyn Files>,
    sha256: Sha256,
    bytes: u64,
}

impl Incoming {
    pub(crate) fn new(path: PathBuf, file: Box<dyn NewFile>, files: Arc<dyn Files>) -> Self {
        Self {
            path,
            file,
            files,
            sha256: Sha256::new(),
            bytes: 0,
        }
    }

    /// Appends to the file. Blocks.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&mut self, part: &[u8]) -> Result<(), BackendError> {
        self.file
            .write_all(part)
            .map_err(|error| file_failed("receive", &error))?;
        self.sha256.update(part);
        self.bytes += part.len() as u64;
        Ok(())
    }

    /// Puts the content on the disk, and returns the file's path.
    pub(crate) fn sync(&self) -> io::Result<&Path> {
        self.file.sync()?;
        Ok(&self.path)
    }

    /// The SHA-256 of what was received, in hex.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.sha256.clone().finalize())
    }

    /// How many bytes were received.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Incoming {
    /// A file that was kept is not there any more.
    fn drop(&mut self) {
        let _ = self.files.remove(&self.path);
    }
}

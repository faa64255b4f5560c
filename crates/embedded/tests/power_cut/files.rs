//! The file system of the payloads, recorded. It leaves out the sync of the real disk.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_embedded::{Disk, Files, NewFile};

use crate::journal::{Inode, Journal};

/// Records what the store does to its files.
#[derive(Debug)]
pub(crate) struct RecordedFiles {
    journal: Arc<Journal>,
    /// How many syncs of folders succeed before one fails.
    syncs_before_failure: AtomicUsize,
}

impl RecordedFiles {
    pub(crate) fn new(journal: &Arc<Journal>) -> Arc<Self> {
        Arc::new(Self {
            journal: Arc::clone(journal),
            syncs_before_failure: AtomicUsize::new(usize::MAX),
        })
    }

    /// Lets one sync of a folder fail, after so many that succeed.
    pub(crate) fn fail_sync_of_folder_after(&self, syncs: usize) {
        self.syncs_before_failure.store(syncs, Ordering::SeqCst);
    }
}

impl Files for RecordedFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let file = Disk.create(path)?;
        Ok(Box::new(RecordedFile {
            file,
            inode: self.journal.open(path),
            journal: Arc::clone(&self.journal),
            length: 0,
        }))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)?;
        self.journal.create_folder(path);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.link(from, to)?;
        self.journal.link(from, to);
        Ok(())
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::copy(from, to)?;
        let file = self.journal.open(to);
        self.journal.write(file, 0, &fs::read(to)?);
        self.journal.sync(file);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)?;
        self.journal.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)?;
        self.journal.unlink(path);
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        Disk.remove_folder(path)?;
        self.journal.unlink(path);
        Ok(())
    }

    fn sync_all(&self, _folder: &Path) -> io::Result<()> {
        self.journal.sync_all();
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if self.syncs_before_failure.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(io::Error::other("injected"));
        }
        self.journal.sync_folder(folder);
        Ok(())
    }
}

#[derive(Debug)]
struct RecordedFile {
    file: Box<dyn NewFile>,
    journal: Arc<Journal>,
    inode: Inode,
    length: usize,
}

impl Write for RecordedFile {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let written = self.file.write(content)?;
        self.journal.write(self.inode, self.length, &content[..written]);
        self.length += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl NewFile for RecordedFile {
    fn sync(&self) -> io::Result<()> {
        self.journal.sync(self.inode);
        Ok(())
    }
}

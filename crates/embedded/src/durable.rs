//! Files and folders that survive a power cut. A file's content does once the file is synced, and a file's name once its
//! folder is.

use std::collections::HashSet;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::syncfs;

/// The calls to the file system that decide what survives a power cut. [`Disk`] makes them, and a test may record them.
pub trait Files: Debug + Send + Sync {
    /// Creates a file that only its owner can read.
    ///
    /// # Errors
    /// When the file exists, or can't be created.
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;

    /// Creates a folder.
    ///
    /// # Errors
    /// When the folder exists, or can't be created.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// When the second name exists, is on another file system, or can't be given.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Copies a file with its mode, and puts the copy's content on the disk.
    ///
    /// # Errors
    /// When the copy may not survive a power cut.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file, and replaces the one that has the new name.
    ///
    /// # Errors
    /// When the file has its former name still.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When the file is not there, or can't be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder that is empty.
    ///
    /// # Errors
    /// When it is not empty, not there, or can't be removed.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Puts all that was written to the folder's file system on the disk: contents and names.
    ///
    /// # Errors
    /// When a part may not survive a power cut.
    fn sync_all(&self, folder: &Path) -> io::Result<()>;

    /// Puts a folder's entries on the disk: the names of its files and folders.
    ///
    /// # Errors
    /// When an entry may not survive a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait NewFile: Write + Debug + Send + Sync {
    /// Puts the file's content on the disk.
    ///
    /// # Errors
    /// When a part may not survive a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// The file system.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::copy(from, to)?;
        File::open(to)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_all(&self, folder: &Path) -> io::Result<()> {
        Ok(syncfs(File::open(folder)?)?)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl NewFile for File {
    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Writes a new file so that after a power cut it is there as a whole or not at all. Blocks.
///
/// # Errors
/// When the file may not survive a power cut.
pub fn write_new_file(files: &dyn Files, path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    match files.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // An earlier start may have left it.
        _ => {}
    }
    let mut file = files.create(&unfinished)?;
    file.write_all(content)?;
    file.sync()?;
    files.rename(&unfinished, path)?;
    files.sync_folder(folder_of(path))
}

/// Creates a folder if it is missing, and puts its entry on the disk. An existing folder is synced too: another thread may
/// have created it a moment ago, or a process that ended before it synced the entry.
pub(crate) fn create_folder(files: &dyn Files, folder: &Path) -> io::Result<()> {
    match files.create_folder(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => files.sync_folder(folder_of(folder)),
    }
}

/// Creates a folder and the missing ones above it.
pub(crate) fn create_folders(files: &dyn Files, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    create_folders(files, folder_of(folder))?;
    create_folder(files, folder)
}

/// The folder that contains this path.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A folder in which files get their places.
#[derive(Debug)]
pub(crate) struct FileTree {
    root: PathBuf,
    files: Arc<dyn Files>,
    /// Folders of folders, such as a tenant's, whose entries this process has put on the disk. They are not removed.
    synced: Mutex<HashSet<PathBuf>>,
}

impl FileTree {
    pub(crate) fn new(root: PathBuf, files: Arc<dyn Files>) -> Self {
        Self {
            root,
            files,
            synced: Mutex::default(),
        }
    }

    pub(crate) fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// Moves a synced file to its place below the root, with the folders that are missing, so that it survives a power cut.
    pub(crate) fn place(&self, file: &Path, target: &Path) -> io::Result<()> {
        let folder = folder_of(target);
        if folder != self.root {
            self.sync_parents(folder_of(folder))?;
            create_folder(&*self.files, folder)?;
        }
        self.files.rename(file, target)?;
        self.files.sync_folder(folder)
    }

    /// Creates a folder of folders and those above it, each only once in a process.
    fn sync_parents(&self, folder: &Path) -> io::Result<()> {
        if folder == self.root || self.synced().contains(folder) {
            return Ok(());
        }
        self.sync_parents(folder_of(folder))?;
        create_folder(&*self.files, folder)?;
        self.synced().insert(folder.to_owned());
        Ok(())
    }

    /// No code panics while it holds the set, so a poisoned lock still guards a valid one.
    fn synced(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

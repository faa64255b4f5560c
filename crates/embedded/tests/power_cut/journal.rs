//! What was done to the files of a folder, in one order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// A file's number. It stays when the file is renamed.
pub(crate) type Inode = usize;

/// One call to the file system. Paths are relative to the journal's folder.
#[derive(Debug)]
pub(crate) enum Event {
    Write {
        file: Inode,
        offset: usize,
        content: Vec<u8>,
    },
    Truncate {
        file: Inode,
        size: usize,
    },
    Sync {
        file: Inode,
    },
    Link {
        path: PathBuf,
        entry: Entry,
    },
    Unlink {
        path: PathBuf,
    },
    SyncFolder {
        folder: PathBuf,
    },
    /// All contents and names.
    SyncAll,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    File(Inode),
    Folder,
}

/// A recording of a folder.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    weakens_synchronous: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    /// The names as a running process sees them.
    names: HashMap<PathBuf, Inode>,
    files: usize,
}

impl Journal {
    pub(crate) fn new(folder: &Path) -> Arc<Self> {
        Self::with_synchronous(folder, false)
    }

    /// A journal of a database whose `synchronous=FULL` is turned into `NORMAL`.
    pub(crate) fn with_synchronous_normal(folder: &Path) -> Arc<Self> {
        Self::with_synchronous(folder, true)
    }

    fn with_synchronous(folder: &Path, weakens_synchronous: bool) -> Arc<Self> {
        Arc::new(Self {
            folder: folder.to_owned(),
            weakens_synchronous,
            state: Mutex::default(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn weakens_synchronous(&self) -> bool {
        self.weakens_synchronous
    }

    /// How much was recorded so far.
    pub(crate) fn position(&self) -> usize {
        self.state().events.len()
    }

    /// Ends the recording.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.state().events)
    }

    /// Adds a file that was there before the recording.
    pub(crate) fn adopt(&self, path: &Path, content: &[u8]) {
        let file = self.open(path);
        self.write(file, 0, content);
        self.sync(file);
        self.sync_folder(path.parent().unwrap());
    }

    /// Opens a file, or creates it.
    pub(crate) fn open(&self, path: &Path) -> Inode {
        let path = self.relative(path);
        let state = &mut *self.state();
        if let Some(file) = state.names.get(&path) {
            return *file;
        }
        let file = state.files;
        state.files += 1;
        state.link(path, Entry::File(file));
        file
    }

    pub(crate) fn write(&self, file: Inode, offset: usize, content: &[u8]) {
        let content = content.to_vec();
        self.push(Event::Write {
            file,
            offset,
            content,
        });
    }

    pub(crate) fn truncate(&self, file: Inode, size: usize) {
        self.push(Event::Truncate { file, size });
    }

    pub(crate) fn sync(&self, file: Inode) {
        self.push(Event::Sync { file });
    }

    pub(crate) fn create_folder(&self, path: &Path) {
        self.state().link(self.relative(path), Entry::Folder);
    }

    pub(crate) fn unlink(&self, path: &Path) {
        self.state().unlink(self.relative(path));
    }

    /// Gives a file a second name.
    pub(crate) fn link(&self, from: &Path, to: &Path) {
        let state = &mut *self.state();
        let file = state.names[&self.relative(from)];
        state.link(self.relative(to), Entry::File(file));
    }

    /// A file system may keep one half of this only, until both folders are synced.
    pub(crate) fn rename(&self, from: &Path, to: &Path) {
        let from = self.relative(from);
        let state = &mut *self.state();
        let file = state.names[&from];
        state.link(self.relative(to), Entry::File(file));
        state.unlink(from);
    }

    pub(crate) fn sync_folder(&self, folder: &Path) {
        // What is above the recorded folder was there before.
        if let Ok(folder) = folder.strip_prefix(&self.folder) {
            let folder = folder.to_owned();
            self.push(Event::SyncFolder { folder });
        }
    }

    pub(crate) fn sync_all(&self) {
        self.push(Event::SyncAll);
    }

    fn push(&self, event: Event) {
        self.state().events.push(event);
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.folder).unwrap().to_owned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn link(&mut self, path: PathBuf, entry: Entry) {
        if let Entry::File(file) = entry {
            self.names.insert(path.clone(), file);
        }
        self.events.push(Event::Link { path, entry });
    }

    fn unlink(&mut self, path: PathBuf) {
        self.names.remove(&path);
        self.events.push(Event::Unlink { path });
    }
}

//! What a disk contains after a power cut.
//!
//! What was synced is there: a file's content up to its last sync, and the names of a folder up to the folder's last sync. Of all
//! else any part may be there, in units of a sector.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::journal::{Entry, Event, Inode, Journal};

const SECTOR: usize = 512;

/// What a power cut leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing.
    Everything,
    /// All names, and no content: new files are empty.
    Contents,
    /// What came before some moment; the write of that moment is torn.
    Tail,
    /// Each sector and each name with the same probability.
    Scattered,
}

impl Loss {
    pub(crate) const ALL: [Self; 4] = [Self::Everything, Self::Contents, Self::Tail, Self::Scattered];
}

/// The disk as a process has used it up to some moment.
#[derive(Debug, Default)]
pub(crate) struct Disk<'a> {
    files: Vec<File<'a>>,
    names: BTreeMap<&'a Path, Entry>,
    /// Events that are not synced, with their number in the journal.
    unsynced_names: Vec<(usize, &'a Event)>,
    events: usize,
}

#[derive(Debug, Default, Clone)]
struct File<'a> {
    content: Vec<u8>,
    unsynced: Vec<(usize, &'a Event)>,
}

impl<'a> Disk<'a> {
    pub(crate) fn apply(&mut self, event: &'a Event) {
        let numbered = (self.events, event);
        self.events += 1;
        match event {
            Event::Write { file, .. } | Event::Truncate { file, .. } => {
                self.file(*file).unsynced.push(numbered);
            }
            Event::Sync { file } => self.file(*file).sync(),
            Event::Link { .. } | Event::Unlink { .. } => self.unsynced_names.push(numbered),
            Event::SyncAll => {
                self.files.iter_mut().for_each(File::sync);
                for (_, event) in self.unsynced_names.drain(..) {
                    rename(&mut self.names, event);
                }
            }
            Event::SyncFolder { folder } => {
                let is_inside = |(_, event): &mut (usize, &Event)| path_of(event).parent() == Some(folder);
                for (_, event) in self.unsynced_names.extract_if(.., is_inside) {
                    rename(&mut self.names, event);
                }
            }
        }
    }

    /// Cuts the power, and writes what is left to the empty folder of another journal.
    pub(crate) fn cut(&self, loss: Loss, rng: &mut Rng, journal: &Journal) {
        let to = journal.folder();
        let files = self.files.iter().flat_map(|file| &file.unsynced);
        let mut unsynced: Vec<usize> = files
            .chain(&self.unsynced_names)
            .map(|(number, _)| *number)
            .collect();
        unsynced.sort_unstable();
        let last = match loss {
            Loss::Tail if !unsynced.is_empty() => unsynced[rng.usize(..unsynced.len())],
            _ => 0,
        };
        let probability = [0.1, 0.5, 0.9][rng.usize(..3)];
        let mut survives = |number: usize| match loss {
            Loss::Everything | Loss::Contents => false,
            Loss::Tail if number == last => rng.bool(),
            Loss::Tail => number < last,
            Loss::Scattered => rng.f64() < probability,
        };
        let mut names = self.names.clone();
        for (number, event) in &self.unsynced_names {
            if loss == Loss::Contents || survives(*number) {
                rename(&mut names, event);
            }
        }
        // A folder comes before what is in it. What is in a folder that was lost is lost.
        for (path, entry) in names {
            let target = to.join(path);
            if !target.parent().unwrap().is_dir() {
                continue;
            }
            match entry {
                Entry::Folder => {
                    fs::create_dir(&target).unwrap();
                    journal.create_folder(&target);
                    journal.sync_folder(target.parent().unwrap());
                }
                Entry::File(file) => {
                    let file = self.files.get(file).cloned().unwrap_or_default();
                    let content = file.cut(&mut survives);
                    fs::write(&target, &content).unwrap();
                    journal.adopt(&target, &content);
                }
            }
        }
        // SQLite never syncs its index of the log, and must not trust it.
        let index = to.join("data/mesh.db-shm");
        if loss == Loss::Scattered && index.with_extension("db").exists() {
            fs::write(index, vec![0xAA; 32_768]).unwrap();
        }
    }

    fn file(&mut self, file: Inode) -> &mut File<'a> {
        if self.files.len() <= file {
            self.files.resize_with(file + 1, File::default);
        }
        &mut self.files[file]
    }
}

impl File<'_> {
    fn sync(&mut self) {
        for (_, event) in std::mem::take(&mut self.unsynced) {
            change(&mut self.content, event, |_| true);
        }
    }

    fn cut(mut self, survives: &mut impl FnMut(usize) -> bool) -> Vec<u8> {
        for (number, event) in std::mem::take(&mut self.unsynced) {
            change(&mut self.content, event, |_| survives(number));
            // A file may have got its length, and nothing in it.
            if let Event::Write { offset, content, .. } = event
                && survives(number)
            {
                let length = self.content.len().max(offset + content.len());
                self.content.resize(length, 0);
            }
        }
        self.content
    }
}

/// Changes a file's content, as far as its sectors survive.
fn change(bytes: &mut Vec<u8>, event: &Event, mut survives: impl FnMut(usize) -> bool) {
    match event {
        Event::Write { offset, content, .. } => {
            let mut begin = 0;
            while begin < content.len() {
                let at = offset + begin;
                let end = content.len().min(begin + SECTOR - at % SECTOR);
                if survives(at / SECTOR) {
                    let length = bytes.len().max(offset + end);
                    bytes.resize(length, 0);
                    bytes[at..offset + end].copy_from_slice(&content[begin..end]);
                }
                begin = end;
            }
        }
        Event::Truncate { size, .. } if survives(0) => bytes.truncate(*size),
        _ => {}
    }
}

fn rename<'a>(names: &mut BTreeMap<&'a Path, Entry>, event: &'a Event) {
    match event {
        Event::Link { path, entry } => {
            names.insert(path, *entry);
        }
        Event::Unlink { path } => {
            names.remove(path.as_path());
        }
        _ => {}
    }
}

fn path_of(event: &Event) -> &PathBuf {
    match event {
        Event::Link { path, .. } | Event::Unlink { path } | Event::SyncFolder { folder: path } => path,
        _ => unreachable!("the event names no file"),
    }
}

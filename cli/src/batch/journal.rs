//! What an interrupted batch knows when it goes on: which lines have which tasks.
//!
//! Two things keep a line from being submitted twice. The journal, a small file beside the output, has what the API
//! answered: those lines are not sent again, not even weeks later. What was sent but not answered is not in it; but a
//! request's idempotency key follows from its content and its lines, so that sending it again gives the same tasks.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mesh_client::Problem;
use mesh_task::{TaskId, UploadId};
use serde::{Deserialize, Serialize};

use crate::exit::usage;

/// What is known of a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Known {
    /// It was accepted.
    Id(TaskId),
    /// It was refused for good.
    Problem(Problem),
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Of the file's content and of what else decides on its requests.
    batch: String,
    /// Sets the keys of `--again` apart.
    salt: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    line: usize,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Id(TaskId),
    Problem(Problem),
    /// Its file is uploaded: a second upload would be another request under the same key.
    Upload(UploadId),
}

/// Two at once would write each result twice. The lock goes with the process, however that ends.
fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(usage(format!(
            "{} is in use: another mesh is at work on this batch",
            path.display()
        ))),
        // Not every file system has locks.
        Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The journal, as read and as it grows.
#[derive(Debug)]
pub(super) struct Journal {
    /// None where the results go to standard output: the keys alone remain.
    file: Option<(PathBuf, File)>,
    pub(super) salt: String,
    known: HashMap<usize, Known>,
    uploads: HashMap<usize, UploadId>,
}

impl Journal {
    /// A journal that is kept nowhere.
    pub(super) fn nowhere(salt: String) -> Self {
        Self {
            file: None,
            salt,
            known: HashMap::new(),
            uploads: HashMap::new(),
        }
    }

    /// Whether there is something to go on with.
    pub(super) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Where the journal of that output lies.
    pub(super) fn beside(output: &Path) -> PathBuf {
        let mut name = OsString::from(output);
        name.push(".journal");
        name.into()
    }

    /// Begins the journal of a batch.
    pub(super) fn begin(path: PathBuf, batch: &str, salt: String) -> Result<Self> {
        let file = File::create_new(&path);
        let file = file.map_err(|error| usage(format!("{} can't be written: {error}", path.display())))?;
        lock(&file, &path)?;
        let head = Head {
            batch: batch.to_owned(),
            salt: salt.clone(),
        };
        let mut journal = Self {
            file: Some((path, file)),
            ..Self::nowhere(salt)
        };
        journal.append(&[head])?;
        Ok(journal)
    }

    /// Reads the journal that an interrupted run of the same batch left.
    pub(super) fn resume(path: PathBuf, batch: &str) -> Result<Self> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| usage(format!("{shown} can't be read: {error}"));
        let file = OpenOptions::new().append(true).open(&path).map_err(unreadable)?;
        lock(&file, &path)?;
        let text = fs::read_to_string(&path).map_err(unreadable)?;
        // A line that was cut off was not finished, and what it would have said is asked again.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].lines();
        let head: Option<Head> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let Some(head) = head.filter(|head| head.batch == batch) else {
            return Err(usage(format!(
                "{shown} is of another file, or of this one before it changed, or of another --size, --type or \
                 --no-wait: remove it to begin anew, or name another --output"
            )));
        };
        let mut journal = Self::nowhere(head.salt);
        for line in lines {
            let entry: Entry = serde_json::from_str(line)
                .map_err(|error| usage(format!("{shown} is damaged ({error}): remove it to begin anew")))?;
            journal.learn(entry);
        }
        file.set_len(whole as u64).map_err(unreadable)?;
        journal.file = Some((path, file));
        Ok(journal)
    }

    fn learn(&mut self, entry: Entry) {
        match entry.what {
            What::Id(id) => drop(self.known.insert(entry.line, Known::Id(id))),
            What::Problem(problem) => drop(self.known.insert(entry.line, Known::Problem(problem))),
            What::Upload(id) => drop(self.uploads.insert(entry.line, id)),
        }
    }

    pub(super) fn of(&self, line: usize) -> Option<&Known> {
        self.known.get(&line)
    }

    pub(super) fn upload_of(&self, line: usize) -> Option<UploadId> {
        self.uploads.get(&line).copied()
    }

    /// Keeps what a request was answered.
    pub(super) fn answered(&mut self, lines: Vec<(usize, Known)>) -> Result<()> {
        let entries = lines.into_iter().map(|(line, known)| {
            let what = match known {
                Known::Id(id) => What::Id(id),
                Known::Problem(problem) => What::Problem(problem),
            };
            Entry { line, what }
        });
        self.keep(entries.collect())
    }

    pub(super) fn uploaded(&mut self, line: usize, id: UploadId) -> Result<()> {
        let what = What::Upload(id);
        self.keep(vec![Entry { line, what }])
    }

    fn keep(&mut self, entries: Vec<Entry>) -> Result<()> {
        self.append(&entries)?;
        entries.into_iter().for_each(|entry| self.learn(entry));
        Ok(())
    }

    fn append(&mut self, values: &[impl Serialize]) -> Result<()> {
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for value in values {
            serde_json::to_writer(&mut lines, value)?;
            lines.push(b'\n');
        }
        let written = file.write_all(&lines);
        written.map_err(|error| usage(format!("{} can't be written: {error}", path.display())))
    }

    /// Removes it: nothing is left to go on with.
    pub(super) fn done(self) -> Result<()> {
        if let Some((path, _)) = self.file {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

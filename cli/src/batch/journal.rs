//! What an interrupted batch knows when it goes on: which lines have which tasks.
//!
//! Two things keep a line from being submitted twice. The journal, a small file beside the output, has what the API
//! answered: those lines are not sent again, not even weeks later. It also has which lines went into which request, under
//! which idempotency key: a request that was not answered for all of them is sent again as it was, which gives the same
//! tasks while the key is remembered.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use mesh_client::Problem;
use mesh_task::{TaskId, UploadId};
use serde::{Deserialize, Serialize};

use super::output::whole;
use crate::exit::usage;

/// How long the API is sure to remember what it was given, keys and uploads: 24 hours, but for the time that a request
/// may take to get there.
const LIFE: SignedDuration = SignedDuration::from_mins(24 * 60 - 10);

pub(super) fn is_remembered(since: Timestamp) -> bool {
    Timestamp::now().duration_since(since).abs() <= LIFE
}

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
    /// The address of the API that knows its tasks.
    stack: String,
    /// Sets the keys of `--again` apart.
    salt: String,
}

/// A request on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sent {
    /// When it was sent first.
    pub(super) at: Timestamp,
    pub(super) key: String,
    pub(super) lines: Vec<usize>,
}

/// A file that was uploaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) id: UploadId,
    at: Timestamp,
    /// Of its content then.
    pub(super) sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Entry {
    Line {
        line: usize,
        #[serde(flatten)]
        what: What,
    },
    Request {
        sent: Sent,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Id(TaskId),
    Problem(Problem),
    /// Its file is uploaded: a second upload would be another request under the same key.
    Upload(Upload),
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
    head: Head,
    /// None where the results go to standard output: the keys alone remain.
    path: Option<PathBuf>,
    /// None before it is begun.
    file: Option<File>,
    known: HashMap<usize, Known>,
    uploads: HashMap<usize, Upload>,
    sent: Vec<Sent>,
}

impl Journal {
    /// The journal of a new batch.
    pub(super) fn new(path: Option<PathBuf>, batch: &str, stack: &str, salt: String) -> Self {
        let head = Head {
            batch: batch.to_owned(),
            stack: stack.to_owned(),
            salt,
        };
        Self::of_head(path, head)
    }

    fn of_head(path: Option<PathBuf>, head: Head) -> Self {
        Self {
            head,
            path,
            file: None,
            known: HashMap::new(),
            uploads: HashMap::new(),
            sent: Vec::new(),
        }
    }

    /// Whether there is something to go on with.
    pub(super) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Whether an earlier run has begun it, or this one.
    pub(super) fn is_begun(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn salt(&self) -> &str {
        &self.head.salt
    }

    /// Where the journal of that output lies.
    pub(super) fn beside(output: &Path) -> PathBuf {
        let mut name = OsString::from(output);
        name.push(".journal");
        name.into()
    }

    /// Begins the file, unless an interrupted run has.
    pub(super) fn begin(&mut self) -> Result<()> {
        let (Some(path), None) = (&self.path, &self.file) else {
            return Ok(());
        };
        let file = File::create_new(path);
        let mut file =
            file.map_err(|error| usage(format!("{} can't be written: {error}", path.display())))?;
        lock(&file, path)?;
        append(&mut file, path, &[&self.head])?;
        self.file = Some(file);
        Ok(())
    }

    /// Reads the journal that an interrupted run of the same batch left.
    pub(super) fn resume(path: PathBuf, batch: &str, stack: &str) -> Result<Self> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| usage(format!("{shown} can't be read: {error}"));
        let file = OpenOptions::new().append(true).open(&path).map_err(unreadable)?;
        lock(&file, &path)?;
        let bytes = fs::read(&path).map_err(unreadable)?;
        // A line that was cut off was not finished, and what it would have said is asked again.
        let whole = whole(&bytes);
        let mut lines = whole.split_inclusive(|byte| *byte == b'\n');
        let head: Option<Head> = lines.next().and_then(|line| serde_json::from_slice(line).ok());
        let Some(head) = head.filter(|head| head.batch == batch) else {
            return Err(usage(format!(
                "{shown} is of another file, or of this one before it changed, or of another --size, --type or \
                 --no-wait: remove it to begin anew, or name another --output"
            )));
        };
        if head.stack != stack {
            return Err(usage(format!(
                "{shown} is of another stack, {}, and this is {stack}: name that one to go on there, or another \
                 --output to begin anew here",
                head.stack
            )));
        }
        let mut journal = Self::of_head(None, head);
        for line in lines {
            let entry: Entry = serde_json::from_slice(line)
                .map_err(|error| usage(format!("{shown} is damaged ({error}): remove it to begin anew")))?;
            journal.learn(entry);
        }
        file.set_len(whole.len() as u64).map_err(unreadable)?;
        journal.path = Some(path);
        journal.file = Some(file);
        Ok(journal)
    }

    fn learn(&mut self, entry: Entry) {
        match entry {
            Entry::Line { line, what } => match what {
                What::Id(id) => drop(self.known.insert(line, Known::Id(id))),
                What::Problem(problem) => drop(self.known.insert(line, Known::Problem(problem))),
                What::Upload(upload) => drop(self.uploads.insert(line, upload)),
            },
            Entry::Request { sent } => self.sent.push(sent),
        }
    }

    pub(super) fn of(&self, line: usize) -> Option<&Known> {
        self.known.get(&line)
    }

    /// The upload of a line's file, while it is sure to be there, and while a request with it is remembered: with another
    /// upload that would be another request.
    pub(super) fn upload_of(&self, line: usize) -> Option<&Upload> {
        let is_sent = || {
            let mut requests = self.sent.iter();
            requests.any(|sent| is_remembered(sent.at) && sent.lines.contains(&line))
        };
        let upload = self.uploads.get(&line)?;
        (is_remembered(upload.at) || is_sent()).then_some(upload)
    }

    /// The requests that were sent, in their order.
    pub(super) fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Keeps that a request is about to be sent.
    pub(super) fn sends(&mut self, key: &str, lines: Vec<usize>) -> Result<()> {
        let sent = Sent {
            at: Timestamp::now(),
            key: key.to_owned(),
            lines,
        };
        self.keep(vec![Entry::Request { sent }])
    }

    /// Keeps what a request was answered.
    pub(super) fn answered(&mut self, lines: Vec<(usize, Known)>) -> Result<()> {
        let entries = lines.into_iter().map(|(line, known)| {
            let what = match known {
                Known::Id(id) => What::Id(id),
                Known::Problem(problem) => What::Problem(problem),
            };
            Entry::Line { line, what }
        });
        self.keep(entries.collect())
    }

    pub(super) fn uploaded(&mut self, line: usize, id: UploadId, sha256: String) -> Result<()> {
        let at = Timestamp::now();
        let what = What::Upload(Upload { id, at, sha256 });
        self.keep(vec![Entry::Line { line, what }])
    }

    fn keep(&mut self, entries: Vec<Entry>) -> Result<()> {
        if let (Some(path), Some(file)) = (&self.path, &mut self.file) {
            append(file, path, &entries)?;
        }
        entries.into_iter().for_each(|entry| self.learn(entry));
        Ok(())
    }

    /// Removes it: nothing is left to go on with.
    pub(super) fn done(self) -> Result<()> {
        if let Some(path) = self.path {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

fn append(file: &mut File, path: &Path, values: &[impl Serialize]) -> Result<()> {
    let mut lines = Vec::new();
    for value in values {
        serde_json::to_writer(&mut lines, value)?;
        lines.push(b'\n');
    }
    let written = file.write_all(&lines);
    written.map_err(|error| usage(format!("{} can't be written: {error}", path.display())))
}

//! The journal of a batch: which lines have which tasks. An interrupted batch resumes from it.
//!
//! Two things keep a line from being submitted twice. First, the journal, a small file beside the output, stores the
//! API's responses: these lines are not sent again, even weeks later. Second, the journal stores which lines went into
//! which request, under which idempotency key. A request without a response for all of its lines is sent again
//! unchanged, which gives the same tasks as long as the API remembers the key.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use mesh_client::ProblemDocument;
use mesh_task::{TaskId, UploadId};
use serde::{Deserialize, Serialize};

use super::output::complete_lines;
use crate::exit::usage;

/// The API remembers idempotency keys and uploads for 24 hours. The margin is for the time that a request is under way.
const LIFETIME: SignedDuration = SignedDuration::from_mins(24 * 60 - 10);

/// Whether the API still remembers a key or an upload of that time.
pub(super) fn is_remembered(since: Timestamp) -> bool {
    Timestamp::now().duration_since(since).abs() <= LIFETIME
}

/// The API's response for one line.
#[derive(Debug, Clone)]
pub(super) enum LineResponse {
    Accepted(TaskId),
    Refused(ProblemDocument),
}

/// The journal's first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    /// The digest of the file's content and of the options that affect its requests.
    batch: String,
    /// The address of the API.
    stack: String,
    /// Changes the idempotency keys, so that `--again` creates new tasks.
    salt: String,
}

/// A request that was sent, and may have arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SentRequest {
    /// When it was first sent.
    pub(super) at: Timestamp,
    pub(super) key: String,
    pub(super) lines: Vec<usize>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) id: UploadId,
    at: Timestamp,
    /// The SHA-256 of the file's content when it was uploaded.
    pub(super) sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Entry {
    Line {
        line: usize,
        #[serde(flatten)]
        entry: LineEntry,
    },
    Request {
        sent: SentRequest,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LineEntry {
    Id(TaskId),
    Problem(ProblemDocument),
    /// The line's file is uploaded. With another upload, the request under the same key would be a different one.
    Upload(Upload),
}

/// Locks the journal, because two runs at once would write each result twice. The lock ends with the process.
fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(usage(format!(
            "{} is in use: wait until the other mesh has finished this batch, or end it",
            path.display()
        ))),
        // Some file systems do not support locks.
        Err(TryLockError::Error(_)) => Ok(()),
    }
}

#[derive(Debug)]
pub(super) struct Journal {
    header: Header,
    /// `None` if the results go to standard output: then nothing is stored, and only the keys prevent second tasks.
    path: Option<PathBuf>,
    /// `None` until the file is created.
    file: Option<File>,
    responses: HashMap<usize, LineResponse>,
    uploads: HashMap<usize, Upload>,
    sent: Vec<SentRequest>,
}

impl Journal {
    /// The journal of a new batch.
    pub(super) fn new(path: Option<PathBuf>, batch: &str, stack: &str, salt: String) -> Self {
        let header = Header {
            batch: batch.to_owned(),
            stack: stack.to_owned(),
            salt,
        };
        Self::empty(path, header)
    }

    fn empty(path: Option<PathBuf>, header: Header) -> Self {
        Self {
            header,
            path,
            file: None,
            responses: HashMap::new(),
            uploads: HashMap::new(),
            sent: Vec::new(),
        }
    }

    /// Whether the journal is in a file, from which a later run can resume.
    pub(super) fn is_stored(&self) -> bool {
        self.path.is_some()
    }

    /// Whether the file exists, from this run or from an earlier one.
    pub(super) fn is_created(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn salt(&self) -> &str {
        &self.header.salt
    }

    /// The path of the journal that belongs to an output.
    pub(super) fn path_for(output: &Path) -> PathBuf {
        let mut name = OsString::from(output);
        name.push(".journal");
        name.into()
    }

    /// Creates the file, unless an earlier run has.
    pub(super) fn create(&mut self) -> Result<()> {
        let (Some(path), None) = (&self.path, &self.file) else {
            return Ok(());
        };
        let file = File::create_new(path);
        let mut file = file.map_err(|error| usage(format!("cannot write {}: {error}", path.display())))?;
        lock(&file, path)?;
        append(&mut file, path, &[&self.header])?;
        self.file = Some(file);
        Ok(())
    }

    /// Reads the journal of an interrupted run of the same batch.
    pub(super) fn resume(path: PathBuf, batch: &str, stack: &str) -> Result<Self> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| usage(format!("cannot read {shown}: {error}"));
        let file = OpenOptions::new().append(true).open(&path).map_err(unreadable)?;
        lock(&file, &path)?;
        let bytes = fs::read(&path).map_err(unreadable)?;
        // An incomplete last line is ignored, and its request is sent again.
        let complete = complete_lines(&bytes);
        let mut lines = complete.split_inclusive(|byte| *byte == b'\n');
        let header: Option<Header> = lines.next().and_then(|line| serde_json::from_slice(line).ok());
        let Some(header) = header.filter(|header| header.batch == batch) else {
            return Err(usage(format!(
                "{shown} belongs to another file, to an earlier content of this one, or to another --size, --type or \
                 --no-wait: remove it to start again, or name another --output"
            )));
        };
        if header.stack != stack {
            return Err(usage(format!(
                "{shown} belongs to another stack, {}, and this is {stack}: select that one to resume, or name another \
                 --output to start again here",
                header.stack
            )));
        }
        let mut journal = Self::empty(None, header);
        for line in lines {
            let entry: Entry = serde_json::from_slice(line)
                .map_err(|error| usage(format!("{shown} is damaged ({error}): remove it to start again")))?;
            journal.apply(entry);
        }
        file.set_len(complete.len() as u64).map_err(unreadable)?;
        journal.path = Some(path);
        journal.file = Some(file);
        Ok(journal)
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Line { line, entry } => match entry {
                LineEntry::Id(id) => drop(self.responses.insert(line, LineResponse::Accepted(id))),
                LineEntry::Problem(problem) => {
                    self.responses.insert(line, LineResponse::Refused(problem));
                }
                LineEntry::Upload(upload) => drop(self.uploads.insert(line, upload)),
            },
            Entry::Request { sent } => self.sent.push(sent),
        }
    }

    pub(super) fn response(&self, line: usize) -> Option<&LineResponse> {
        self.responses.get(&line)
    }

    /// The upload of a line's file, if it can be used again: while the API remembers the upload, or a request with it.
    /// With another upload, that would be a different request.
    pub(super) fn upload(&self, line: usize) -> Option<&Upload> {
        let is_sent = || {
            let mut requests = self.sent.iter();
            requests.any(|sent| is_remembered(sent.at) && sent.lines.contains(&line))
        };
        let upload = self.uploads.get(&line)?;
        (is_remembered(upload.at) || is_sent()).then_some(upload)
    }

    /// The requests that were sent, in order.
    pub(super) fn sent(&self) -> &[SentRequest] {
        &self.sent
    }

    /// Stores a request before it is sent.
    pub(super) fn store_request(&mut self, key: &str, lines: Vec<usize>) -> Result<()> {
        let sent = SentRequest {
            at: Timestamp::now(),
            key: key.to_owned(),
            lines,
        };
        self.store(vec![Entry::Request { sent }])
    }

    pub(super) fn store_responses(&mut self, lines: Vec<(usize, LineResponse)>) -> Result<()> {
        let entries = lines.into_iter().map(|(line, response)| {
            let entry = match response {
                LineResponse::Accepted(id) => LineEntry::Id(id),
                LineResponse::Refused(problem) => LineEntry::Problem(problem),
            };
            Entry::Line { line, entry }
        });
        self.store(entries.collect())
    }

    pub(super) fn store_upload(&mut self, line: usize, id: UploadId, sha256: String) -> Result<()> {
        let at = Timestamp::now();
        let entry = LineEntry::Upload(Upload { id, at, sha256 });
        self.store(vec![Entry::Line { line, entry }])
    }

    fn store(&mut self, entries: Vec<Entry>) -> Result<()> {
        if let (Some(path), Some(file)) = (&self.path, &mut self.file) {
            append(file, path, &entries)?;
        }
        entries.into_iter().for_each(|entry| self.apply(entry));
        Ok(())
    }

    /// Removes the file once the batch is finished.
    pub(super) fn remove(self) -> Result<()> {
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
    written.map_err(|error| usage(format!("cannot write {}: {error}", path.display())))
}

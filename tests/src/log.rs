//! The functions' log, which the local cloud writes to a file.
//!
//! A process reads each byte of the file at most once. It starts at the file's length when the process creates its first
//! client ([`start`]), and each poll reads only what was appended since the previous one. Nothing is lost by that: a test
//! looks for events of the tasks and requests that it causes itself, and it needs a client to cause them, so their lines
//! are appended later. nextest runs each test in a process of its own, and these read the same file independently.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use crate::setting;

/// The variable with the path of the log. Only the stack of the black-box tests sets it.
const LOG_PATH: &str = "AI_MESH_CLOUD_LOG";

/// The length of the log, in bytes, when this process created its first client.
static START: OnceLock<u64> = OnceLock::new();

/// When this process created its first client.
static STARTED_AT: OnceLock<Timestamp> = OnceLock::new();

static READER: LazyLock<Mutex<Reader>> = LazyLock::new(|| {
    let path = setting(LOG_PATH);
    // Without a client the process has no start of its own: it reads the whole log.
    let start = START.get().copied().unwrap_or_default();
    match Reader::open(path.clone().into(), start) {
        Ok(reader) => Mutex::new(reader),
        Err(error) => panic!("{path} can't be read: {error}"),
    }
});

/// Notes where this process begins to read the log. Only the first call has an effect.
pub(crate) fn start() {
    STARTED_AT.get_or_init(Timestamp::now);
    START.get_or_init(|| {
        let log = std::env::var_os(LOG_PATH).and_then(|path| fs::metadata(path).ok());
        log.map_or(0, |log| log.len())
    });
}

/// The time from which on this process reads logs: nothing that it causes is logged earlier.
pub(crate) fn started_at() -> Timestamp {
    *STARTED_AT.get_or_init(Timestamp::now)
}

/// The log entries about a task whose field `event` is this, oldest first.
///
/// # Panics
/// When the log can't be read.
#[must_use]
pub fn log_events(event: &str, task_id: &str) -> Vec<Value> {
    log_events_where(event, "task_id", task_id)
}

/// The log entries whose field `event` is this and in which another field has this value, oldest first.
///
/// # Panics
/// When the log can't be read.
#[must_use]
pub fn log_events_where(event: &str, field: &str, value: &str) -> Vec<Value> {
    with_log(|log| {
        let entries = log.events.get(event).into_iter().flatten();
        entries.filter(|entry| entry[field] == value).cloned().collect()
    })
}

/// Whether a line of the functions or of the local cloud itself contains this text.
///
/// # Panics
/// When the log can't be read.
#[must_use]
pub fn log_contains(text: &str) -> bool {
    with_log(|log| log.lines.iter().any(|line| line.contains(text)))
}

/// Reads what was appended, then passes all that this process has read.
fn with_log<T>(look: impl FnOnce(&Reader) -> T) -> T {
    let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = reader.poll() {
        panic!("{} can't be read: {error}", reader.path.display());
    }
    look(&reader)
}

/// Reads a file that other processes append to.
#[derive(Debug)]
struct Reader {
    path: PathBuf,
    file: File,
    /// The number of bytes of the file that have been read or skipped.
    offset: u64,
    /// The bytes after the last newline: the beginning of a line that is still being written.
    unfinished: Vec<u8>,
    /// The complete lines since the start.
    lines: Vec<String>,
    /// The lines that are JSON with a field `event`, by that field.
    events: HashMap<String, Vec<Value>>,
}

impl Reader {
    fn open(path: PathBuf, offset: u64) -> io::Result<Self> {
        Ok(Self {
            file: File::open(&path)?,
            path,
            offset,
            unfinished: Vec::new(),
            lines: Vec::new(),
            events: HashMap::new(),
        })
    }

    fn poll(&mut self) -> io::Result<()> {
        self.read_appended()?;
        if self.was_replaced()? {
            // The old file has been read to its end.
            self.file = File::open(&self.path)?;
            self.restart();
            self.read_appended()?;
        }
        Ok(())
    }

    fn read_appended(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < self.offset {
            // The file was truncated: what it contains now is new.
            self.restart();
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        self.offset += self.file.read_to_end(&mut self.unfinished)? as u64;
        let Some(newline) = self.unfinished.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let unfinished = self.unfinished.split_off(newline + 1);
        let complete = std::mem::replace(&mut self.unfinished, unfinished);
        for line in String::from_utf8_lossy(&complete).lines() {
            self.add(line);
        }
        Ok(())
    }

    /// Whether the path names another file by now, as after a rotation.
    fn was_replaced(&self) -> io::Result<bool> {
        let open = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) != (open.dev(), open.ino())),
            // Between the two steps of a rotation the path names no file.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn restart(&mut self) {
        self.offset = 0;
        self.unfinished.clear();
    }

    fn add(&mut self, line: &str) {
        self.lines.push(line.to_owned());
        // The local cloud writes a prefix of its own before a function's line.
        if line.contains("\"event\"")
            && let Some(start) = line.find('{')
            && let Ok(entry) = serde_json::from_str::<Value>(&line[start..])
            && let Some(event) = entry["event"].as_str()
        {
            self.events.entry(event.to_owned()).or_default().push(entry);
        }
    }
}

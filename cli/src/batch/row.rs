//! One task of a batch's file, and how much of a request it takes.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mesh_client::Submission;
use mesh_task::{MAX_MEDIA_BYTES, MAX_TEXT_BYTES, Priority, TaskType, WorkerKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::input;

/// A larger file is uploaded, because many files share a request.
pub(super) const MAX_INLINE_BYTES: usize = 500_000;
/// More than the JSON around an entry, and an upload's id, take together.
const ENTRY_BYTES: usize = 200;
/// The API's limit for a request, and so for one task.
const MAX_ROW_BYTES: usize = 6_000_000;

#[derive(Debug)]
pub(super) struct Row {
    /// The line's number in the file, from 1.
    pub(super) line: usize,
    pub(super) task_type: TaskType,
    /// The input's fields, without the one that a file provides.
    input: Map<String, Value>,
    /// The file with the content. A relative path starts at the batch file's folder.
    pub(super) file: Option<PathBuf>,
    metadata: BTreeMap<String, String>,
    priority: Option<Priority>,
    max_attempts: Option<u32>,
    timeout_seconds: Option<u32>,
    /// About how many bytes of a request it takes. Its file counts once [`Row::check_file`] has read it.
    pub(super) bytes: usize,
}

/// A line's fields as they are written in the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    #[serde(rename = "type")]
    pub(super) task_type: Option<String>,
    #[serde(default)]
    pub(super) input: Map<String, Value>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) priority: Option<Priority>,
    pub(super) max_attempts: Option<u32>,
    pub(super) timeout_seconds: Option<u32>,
}

impl Row {
    /// Checks a line's fields. `default` is the type of a line without one.
    pub(super) fn new(
        line: usize,
        fields: Fields,
        default: Option<TaskType>,
        folder: &Path,
    ) -> Result<Self, String> {
        let task_type = match fields.task_type {
            Some(name) => name.parse::<TaskType>().map_err(|_| {
                let names = TaskType::ALL.map(TaskType::as_str).join(", ");
                format!("unknown task type `{name}`: expected one of {names}")
            })?,
            None => {
                default.ok_or("the type is missing: add `type`, or give --type for all lines without one")?
            }
        };
        let mut input = fields.input;
        let file = match input.remove("file") {
            Some(Value::String(path)) => Some(folder.join(path)),
            Some(_) => return Err("input.file must be a path".to_owned()),
            None => None,
        };
        let text = input.get("text").and_then(Value::as_str).unwrap_or_default();
        input::check_text_length(text.len()).map_err(|error| error.to_string())?;
        let mut row = Self {
            line,
            task_type,
            input,
            file,
            metadata: fields.metadata,
            priority: fields.priority,
            max_attempts: fields.max_attempts,
            timeout_seconds: fields.timeout_seconds,
            bytes: ENTRY_BYTES,
        };
        row.add_bytes(event_bytes(&json!(row.submission(None)).to_string()))?;
        Ok(row)
    }

    /// The submission. `content` is the input field that the row's file provides.
    pub(super) fn submission(&self, content: Option<(&str, Value)>) -> Submission {
        let mut input = self.input.clone();
        if let Some((name, value)) = content {
            input.insert(name.to_owned(), value);
        }
        let mut submission = Submission::raw(self.task_type, input);
        for (key, value) in &self.metadata {
            submission = submission.metadata(key, value);
        }
        if let Some(priority) = self.priority {
            submission = submission.priority(priority);
        }
        if let Some(max_attempts) = self.max_attempts {
            submission = submission.max_attempts(max_attempts);
        }
        if let Some(seconds) = self.timeout_seconds {
            submission = submission.timeout_seconds(seconds);
        }
        submission
    }

    fn add_bytes(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_ROW_BYTES {
            let bytes = self.bytes;
            return Err(format!(
                "the task takes {bytes} bytes and a request at most {MAX_ROW_BYTES}: move the image or audio to a \
                 file, and name it in `file`"
            ));
        }
        Ok(())
    }

    /// Opens the row's file for a further read; `None` for a pipe, which can be read only once.
    pub(super) fn open_again(&self) -> Option<File> {
        let path = self.file.as_deref().filter(|path| path.is_file())?;
        File::open(path).ok()
    }

    /// Checks that the row's file can be sent, and adds its size to the row's.
    pub(super) fn check_file(&mut self) -> Result<(), String> {
        let Some(path) = self.file.clone() else {
            return Ok(());
        };
        let unreadable = |why: &dyn Display| format!("cannot read {}: {why}", path.display());
        let file = File::open(&path).and_then(|file| file.metadata());
        let file = file.map_err(|error| unreadable(&error))?;
        if file.is_dir() {
            return Err(unreadable(&"it is a folder"));
        }
        let length = usize::try_from(file.len()).unwrap_or(usize::MAX);
        let is_text = matches!(
            self.task_type.default_worker(),
            WorkerKind::Text | WorkerKind::Language
        );
        // A pipe is not checked, because it can be read only once.
        if is_text && file.is_file() {
            let with_path = |error: &dyn Display| format!("{}: {error}", path.display());
            if length > MAX_TEXT_BYTES + input::BYTE_ORDER_MARK.len() {
                input::check_text_length(length).map_err(|error| with_path(&error))?;
            }
            let bytes = fs::read(&path).map_err(|error| unreadable(&error))?;
            let text = input::text(self.task_type, bytes).map_err(|error| with_path(&error))?;
            self.add_bytes(event_bytes(&json!(text).to_string()))
        } else if length <= MAX_INLINE_BYTES {
            // As base64.
            self.add_bytes(length * 3 / 2)
        } else if length > MAX_MEDIA_BYTES {
            let path = path.display();
            Err(format!(
                "{path}: a file of {length} bytes is too large: send at most {MAX_MEDIA_BYTES}"
            ))
        } else {
            Ok(())
        }
    }
}

/// How much of the API's limit a JSON takes. Lambda receives the request as a string inside another JSON, which escapes
/// some characters.
fn event_bytes(json: &str) -> usize {
    json.len() + json.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

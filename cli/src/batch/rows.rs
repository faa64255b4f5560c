//! The tasks of a file: a line of JSONL each, as the API takes them, or a record of CSV each, whose columns are named
//! after the API's fields. The whole file is read before anything is sent, so that a line that is none stops nothing
//! half-way.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mesh_client::Submission;
use mesh_task::{Modality, Priority, TaskType};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::table;
use crate::exit::usage;

/// A larger file is uploaded by itself: many travel in one request.
pub(super) const MAX_INLINE_BYTES: usize = 500_000;
/// What an upload's id and the JSON around an entry take at most.
const ENTRY_BYTES: usize = 200;

/// One task to submit.
#[derive(Debug)]
pub(super) struct Row {
    /// Its line in the file, from 1.
    pub(super) line: usize,
    pub(super) task_type: TaskType,
    /// The input's fields, but for what `file` brings.
    input: Map<String, Value>,
    /// Where the content lies: beside the batch's file, unless its path is absolute.
    pub(super) file: Option<PathBuf>,
    metadata: BTreeMap<String, String>,
    priority: Option<Priority>,
    max_attempts: Option<u32>,
    timeout_seconds: Option<u32>,
    /// How much of a request it takes, about.
    pub(super) bytes: usize,
}

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
    /// The submission, with the content's field where a file brings it.
    pub(super) fn submission(&self, content: Option<(&str, Value)>) -> Submission {
        let mut input = self.input.clone();
        if let Some((name, value)) = content {
            input.insert(name.to_owned(), value);
        }
        let mut submission = Submission::raw(self.task_type, input);
        for (key, value) in &self.metadata {
            submission = submission.note(key, value);
        }
        if let Some(priority) = self.priority {
            submission = submission.priority(priority);
        }
        if let Some(most) = self.max_attempts {
            submission = submission.max_attempts(most);
        }
        if let Some(seconds) = self.timeout_seconds {
            submission = submission.timeout_seconds(seconds);
        }
        submission
    }

    pub(super) fn of(
        line: usize,
        fields: Fields,
        default: Option<TaskType>,
        folder: &Path,
    ) -> Result<Self, String> {
        let task_type = match fields.task_type {
            Some(name) => name
                .parse::<TaskType>()
                .map_err(|error| format!("{name}: {error}"))?,
            None => {
                default.ok_or("it names no type: give a `type`, or --type for all lines that have none")?
            }
        };
        let mut input = fields.input;
        let file = match input.remove("file") {
            Some(Value::String(path)) => Some(folder.join(path)),
            Some(_) => return Err("input.file must be a path".to_owned()),
            None => None,
        };
        let length = match &file {
            Some(path) => {
                let length = length(path)?;
                let is_text = matches!(task_type.usual_worker(), Modality::Text | Modality::Language);
                // As base64, or as a text with what JSON escapes of it.
                if is_text || length <= MAX_INLINE_BYTES {
                    length.saturating_mul(3) / 2
                } else {
                    0
                }
            }
            None => 0,
        };
        Ok(Self {
            line,
            task_type,
            bytes: json!(input).to_string().len() + length + ENTRY_BYTES,
            input,
            file,
            metadata: fields.metadata,
            priority: fields.priority,
            max_attempts: fields.max_attempts,
            timeout_seconds: fields.timeout_seconds,
        })
    }
}

/// The length of a file that can be read.
fn length(path: &Path) -> Result<usize, String> {
    let refuse = |why: &dyn Display| format!("{} can't be read: {why}", path.display());
    let file = File::open(path).and_then(|file| file.metadata());
    let file = file.map_err(|error| refuse(&error))?;
    if file.is_dir() {
        return Err(refuse(&"it is a folder"));
    }
    Ok(usize::try_from(file.len()).unwrap_or(usize::MAX))
}

/// How a file's tasks are written, by its name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    JsonLines,
    Csv,
}

impl Form {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            _ => Err(usage(format!(
                "{}: its name must end with .jsonl or .csv",
                path.display()
            ))),
        }
    }
}

/// Reads the tasks of a file's content.
pub(super) fn read(path: &Path, form: Form, content: &[u8], default: Option<TaskType>) -> Result<Vec<Row>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // A mark that some programs write in front of UTF-8.
    let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    let rows = match form {
        Form::JsonLines => of_json_lines(content, default, folder),
        Form::Csv => table::read(content, default, folder),
    };
    let rows = rows.map_err(|why| usage(format!("{}: {why}; nothing was submitted", path.display())))?;
    if rows.is_empty() {
        return Err(usage(format!("{} holds no tasks", path.display())));
    }
    Ok(rows)
}

fn of_json_lines(content: &[u8], default: Option<TaskType>, folder: &Path) -> Result<Vec<Row>, String> {
    let lines = content.split(|byte| *byte == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    filled
        .map(|(index, line)| {
            let line_number = index + 1;
            let fields = serde_json::from_slice(line).map_err(|error| in_line(&error));
            fields
                .and_then(|fields| Row::of(line_number, fields, default, folder))
                .map_err(|why| format!("line {line_number}: {why}"))
        })
        .collect()
}

/// The parser knows this line alone, and calls it the first.
fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests;

//! The tasks of a file: a line of JSONL each, as the API takes them, or a record of CSV each, whose columns are named
//! after the API's fields. The whole file is read before anything is sent, so that a line that is none stops nothing
//! half-way.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Result;
use mesh_client::Submission;
use mesh_task::{MAX_MEDIA_BYTES, MAX_TEXT_BYTES, Priority, TaskType, WorkerKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::table;
use crate::exit::usage;
use crate::input;

/// A larger file is uploaded by itself: many travel in one request.
pub(super) const MAX_INLINE_BYTES: usize = 500_000;
/// What an upload's id and the JSON around an entry take at most.
const ENTRY_BYTES: usize = 200;
/// What a request may take, of one task too: the API's limit is 6 MB.
const MAX_ROW_BYTES: usize = 6_000_000;

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
    /// How much of a request it takes, about; without its file until [`check_files`] has looked at that.
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
        row.take(event_bytes(&json!(row.submission(None)).to_string()))?;
        Ok(row)
    }

    fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_ROW_BYTES {
            let bytes = self.bytes;
            return Err(format!(
                "it takes {bytes} bytes, and a request {MAX_ROW_BYTES} at most: put a picture or a recording into a \
                 file of its own, and name that by `file`"
            ));
        }
        Ok(())
    }

    /// The file that it names, if it can be read once more: a pipe gives its content once.
    pub(super) fn open_again(&self) -> Option<File> {
        let path = self.file.as_deref().filter(|path| path.is_file())?;
        File::open(path).ok()
    }

    /// Looks at the file that it names: whether it can be sent, and what it takes.
    fn check_file(&mut self) -> Result<(), String> {
        let Some(path) = self.file.clone() else {
            return Ok(());
        };
        let refuse = |why: &dyn Display| format!("{} can't be read: {why}", path.display());
        let file = File::open(&path).and_then(|file| file.metadata());
        let file = file.map_err(|error| refuse(&error))?;
        if file.is_dir() {
            return Err(refuse(&"it is a folder"));
        }
        let length = usize::try_from(file.len()).unwrap_or(usize::MAX);
        let is_text = matches!(
            self.task_type.default_worker(),
            WorkerKind::Text | WorkerKind::Language
        );
        // A pipe gives its content once.
        if is_text && file.is_file() {
            let of_file = |error: &dyn Display| format!("{}: {error}", path.display());
            if length > MAX_TEXT_BYTES + input::MARK.len() {
                input::check_text_length(length).map_err(|error| of_file(&error))?;
            }
            let bytes = fs::read(&path).map_err(|error| refuse(&error))?;
            let text = input::text(self.task_type, bytes).map_err(|error| of_file(&error))?;
            self.take(event_bytes(&json!(text).to_string()))
        } else if length <= MAX_INLINE_BYTES {
            // As base64.
            self.take(length * 3 / 2)
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

/// What a JSON takes of the API's limit, which holds for the request as a string in another JSON.
fn event_bytes(json: &str) -> usize {
    json.len() + json.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
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

/// Reads the tasks of a file's content, but not yet what other files bring to them.
pub(super) fn read(path: &Path, form: Form, content: &[u8], default: Option<TaskType>) -> Result<Vec<Row>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let content = content.strip_prefix(input::MARK.as_bytes()).unwrap_or(content);
    let rows = match form {
        Form::JsonLines => of_json_lines(content, default, folder),
        Form::Csv => table::read(content, default, folder),
    };
    let rows = rows.map_err(|why| unsound(path, &why, false))?;
    if rows.is_empty() {
        return Err(usage(format!("{} holds no tasks", path.display())));
    }
    Ok(rows)
}

/// Looks at the files of the rows. Those of what is sent may be gone or changed; what they take decides all the same on
/// where the requests after them begin.
pub(super) fn check_files(
    path: &Path,
    rows: &mut [Row],
    is_resumed: bool,
    is_sent: impl Fn(&Row) -> bool,
) -> Result<()> {
    for row in rows {
        if !is_sent(row) {
            let checked = row.check_file();
            checked.map_err(|why| unsound(path, &format!("line {}: {why}", row.line), is_resumed))?;
        } else if row.open_again().is_some() {
            let _ = row.check_file();
        }
    }
    Ok(())
}

fn unsound(path: &Path, why: &str, is_resumed: bool) -> anyhow::Error {
    let nothing = if is_resumed { "nothing more" } else { "nothing" };
    usage(format!("{}: {why}; {nothing} was submitted", path.display()))
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

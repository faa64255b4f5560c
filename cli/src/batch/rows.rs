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
mod tests {
    use super::*;

    fn submissions(name: &str, content: &str, default: Option<TaskType>) -> Result<Vec<(usize, Value)>> {
        let path = Path::new(name);
        let rows = read(path, Form::of(path)?, content.as_bytes(), default)?;
        Ok(rows
            .iter()
            .map(|row| (row.line, json!(row.submission(None))))
            .collect())
    }

    #[test]
    fn a_csv_s_columns_are_the_fields_of_the_api() {
        let csv = "type,text,labels,multi_label,max_sentences,priority,metadata.order\n\
                   classify,\"a, b\nand c\",\"x, y\",yes,,high,7\n\
                   ,fine,,,,,\n\
                   summarize,long,,,2,,\n";
        let rows = submissions("a.csv", csv, Some(TaskType::Sentiment)).unwrap();
        assert_eq!(
            rows,
            [
                (
                    2,
                    json!({ "type": "classify", "priority": "high", "metadata": { "order": "7" },
                    "input": { "text": "a, b\nand c", "labels": ["x", "y"], "multi_label": true } })
                ),
                (
                    4,
                    json!({ "type": "sentiment", "priority": "normal", "input": { "text": "fine" } })
                ),
                (
                    5,
                    json!({ "type": "summarize", "priority": "normal",
                            "input": { "text": "long", "max_sentences": 2 } })
                ),
            ]
        );
    }

    #[test]
    fn json_lines_are_what_the_api_takes_and_blank_ones_are_passed_over() {
        let lines = [
            r#"{"type":"sentiment","input":{"text":"a"},"max_attempts":2}"#,
            "",
            r#"{"input":{"text":"b"}}"#,
        ]
        .join("\n");
        let rows = submissions("a.jsonl", &lines, Some(TaskType::Embed)).unwrap();
        assert_eq!(
            rows,
            [
                (
                    1,
                    json!({ "type": "sentiment", "priority": "normal", "input": { "text": "a" }, "max_attempts": 2 })
                ),
                (
                    3,
                    json!({ "type": "embed", "priority": "normal", "input": { "text": "b" } })
                ),
            ]
        );
    }

    #[test]
    fn files_of_other_systems_are_read_with_their_marks_and_line_ends() {
        let expected = json!({ "type": "sentiment", "priority": "normal", "input": { "text": "a" } });
        for (name, content) in [
            (
                "a.jsonl",
                "\u{feff}{\"type\":\"sentiment\",\"input\":{\"text\":\"a\"}}\r\n\r\n",
            ),
            (
                "A.NDJSON",
                "\u{feff}{\"type\":\"sentiment\",\"input\":{\"text\":\"a\"}}",
            ),
            ("a.CSV", "\u{feff}type,text\r\nsentiment,a\r\n"),
            ("a.csv", "\u{feff}\"type\",\"text\"\nsentiment,\"a\""),
        ] {
            let rows = submissions(name, content, None).unwrap();
            assert_eq!(rows.len(), 1, "{content:?}");
            assert_eq!(rows[0].1, expected);
        }
        let path = Path::new("a.csv");
        let latin = read(
            path,
            Form::Csv,
            b"type,text\nsentiment,a\nsentiment,gr\xfcn\n",
            None,
        );
        let told = latin.unwrap_err().to_string();
        assert!(told.contains("line 3: it is no UTF-8"), "{told}");
    }

    #[test]
    fn a_line_that_is_none_is_named_with_what_is_wrong() {
        for (name, content, why) in [
            ("a.jsonl", "{}\n", "line 1: it names no type"),
            ("a.jsonl", "\n[]", "line 2: "),
            (
                "a.jsonl",
                "{\"type\":\"sentiment\",\"text\":\"a\"}",
                "line 1: unknown field `text`",
            ),
            (
                "a.jsonl",
                "{\"type\":\"ocr\",\"input\":{\"file\":\"no-such.png\"}}",
                "line 1: no-such.png can't be read",
            ),
            (
                "a.csv",
                "type,colour\nocr,red\n",
                "line 2: there is no field \"colour\"",
            ),
            (
                "a.csv",
                "type,text,multi_label\nclassify,a,perhaps\n",
                "multi_label must be true or false",
            ),
            (
                "a.csv",
                "type,text\ntelepathy,a\n",
                "line 2: telepathy: no task type is named so",
            ),
            (
                "a.jsonl",
                "\n{\"type\":\"ocr\",\"input\":{\"file\":\".\"}}\n",
                "line 2: . can't be read: it is a folder",
            ),
            (
                "a.jsonl",
                "\n\n{\"type\":1}",
                "line 3: invalid type: integer `1`, expected a string at column 9",
            ),
            (
                "a.csv",
                "type,text,text\nocr,a,b\n",
                "line 1: the column \"text\" is there twice",
            ),
            (
                "a.csv",
                "type,text\nocr,a,b\n",
                "line 2: it has 3 cells, and the head 2",
            ),
            (
                "a.csv",
                "type,text\nocr,a\nocr,\"b\nocr,c\n",
                "line 3: a quote is opened and never closed",
            ),
            (
                "a.csv",
                "type,\"text\nocr,a\n",
                "line 1: a quote is opened and never closed",
            ),
            ("a.csv", "type,text\n", "holds no tasks"),
            ("a.csv", "", "holds no tasks"),
            ("a.txt", "x", "must end with .jsonl or .csv"),
        ] {
            let told = submissions(name, content, None).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }
}

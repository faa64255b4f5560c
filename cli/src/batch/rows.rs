//! The tasks of a file: a line of JSONL each, as the API takes them, or a record of CSV each, whose columns are named
//! after the API's fields. The whole file is read before anything is sent, so that a line that is none stops nothing
//! half-way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mesh_client::Submission;
use mesh_task::{Modality, Priority, TaskType};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::args;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(rename = "type")]
    task_type: Option<String>,
    #[serde(default)]
    input: Map<String, Value>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    priority: Option<Priority>,
    max_attempts: Option<u32>,
    timeout_seconds: Option<u32>,
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

    fn of(line: usize, fields: Fields, default: Option<TaskType>, folder: &Path) -> Result<Self, String> {
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
                let length = fs::metadata(path)
                    .map_err(|error| format!("{} can't be read: {error}", path.display()))?;
                let length = usize::try_from(length.len()).unwrap_or(usize::MAX);
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

/// Reads the tasks of a file's content.
pub(super) fn read(path: &Path, content: &[u8], default: Option<TaskType>) -> Result<Vec<Row>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    let rows = match extension.to_ascii_lowercase().as_str() {
        "jsonl" | "ndjson" => of_json_lines(content, default, folder),
        "csv" => of_csv(content, default, folder),
        _ => Err("its name must end with .jsonl or .csv".to_owned()),
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
            let fields = serde_json::from_slice(line).map_err(|error| error.to_string());
            fields
                .and_then(|fields| Row::of(line_number, fields, default, folder))
                .map_err(|why| format!("line {line_number}: {why}"))
        })
        .collect()
}

fn of_csv(content: &[u8], default: Option<TaskType>, folder: &Path) -> Result<Vec<Row>, String> {
    let mut reader = csv::Reader::from_reader(content);
    let head = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let fields = of_record(head.iter().zip(&record));
        let row = fields.and_then(|fields| Row::of(line, fields, default, folder));
        rows.push(row.map_err(|why| format!("line {line}: {why}"))?);
    }
    Ok(rows)
}

/// An empty cell says nothing.
fn of_record<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Fields, String> {
    let mut fields = Fields {
        task_type: None,
        input: Map::new(),
        metadata: BTreeMap::new(),
        priority: None,
        max_attempts: None,
        timeout_seconds: None,
    };
    for (column, cell) in cells.filter(|(_, cell)| !cell.is_empty()) {
        let number = || {
            cell.trim()
                .parse()
                .map_err(|_| format!("{column} must be a number, not {cell:?}"))
        };
        match column {
            "type" => fields.task_type = Some(cell.trim().to_owned()),
            "priority" => {
                let priority = args::priority(cell.trim());
                fields.priority = Some(
                    priority.ok_or_else(|| format!("priority must be high, normal or low, not {cell:?}"))?,
                );
            }
            "max_attempts" => fields.max_attempts = Some(number()?),
            "timeout_seconds" => fields.timeout_seconds = Some(number()?),
            _ => match column.strip_prefix("metadata.") {
                Some(key) => {
                    fields.metadata.insert(key.to_owned(), cell.to_owned());
                }
                None => {
                    fields.input.insert(column.to_owned(), value(column, cell)?);
                }
            },
        }
    }
    Ok(fields)
}

/// A cell as the input's field of that name.
fn value(column: &str, cell: &str) -> Result<Value, String> {
    let json = || serde_json::from_str(cell).map_err(|error| format!("{column} is no JSON: {error}"));
    match column {
        "text" | "target_language" | "engine" | "upload" | "file" => Ok(Value::from(cell)),
        "labels" if !cell.trim_start().starts_with('[') => {
            Ok(cell.split(',').map(|label| Value::from(label.trim())).collect())
        }
        "labels" | "texts" | "schema" | "max_sentences" | "ratio" => json(),
        "multi_label" => match cell.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(Value::Bool(true)),
            "false" | "no" | "0" => Ok(Value::Bool(false)),
            _ => Err(format!("multi_label must be true or false, not {cell:?}")),
        },
        _ => Err(format!(
            "there is no field {column:?}; columns are type, text, file, upload, texts, labels, multi_label, \
             max_sentences, ratio, target_language, schema, engine, priority, max_attempts, timeout_seconds and metadata.KEY"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submissions(name: &str, content: &str, default: Option<TaskType>) -> Result<Vec<(usize, Value)>> {
        let rows = read(Path::new(name), content.as_bytes(), default)?;
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
            ("a.csv", "type,text\n", "holds no tasks"),
            ("a.txt", "x", "must end with .jsonl or .csv"),
        ] {
            let told = submissions(name, content, None).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }
}

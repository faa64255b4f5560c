//! A CSV file's records as tasks: the columns are named after the API's fields.

use std::cell::Cell;
use std::io::Read;
use std::path::Path;

use mesh_task::TaskType;
use serde_json::Value;

use super::rows::{Fields, Row};
use crate::{args, words};

/// Put behind a CSV's last record, as one of its own: a quote that is left open takes in all that follows, this too.
const END: &str = "\u{4}";

/// Reads the tasks of a CSV file's records.
pub(super) fn read(content: &[u8], default: Option<TaskType>, folder: &Path) -> Result<Vec<Row>, String> {
    let lines = Lines::of(content);
    let number = |at: Option<&csv::Position>| at.map_or(1, |at| lines.number(at));
    let unreadable = |error: csv::Error| match error.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = number(pos.as_ref());
            format!("line {line}: it is no UTF-8: save the file as that")
        }
        _ => error.to_string(),
    };
    let ends = |record: &csv::StringRecord| match record.iter().next_back() {
        Some(END) if record.len() == 1 => Ok(true),
        Some(cell) if cell.ends_with(END) => {
            let line = number(record.position());
            Err(format!("line {line}: a quote is opened and never closed"))
        }
        _ => Ok(false),
    };
    let content = content.chain(b"\n".as_slice()).chain(END.as_bytes());
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(content);
    let head = reader.headers().map_err(unreadable)?.clone();
    if ends(&head)? {
        return Ok(Vec::new());
    }
    for (place, column) in head.iter().enumerate() {
        if head.iter().take(place).any(|before| before == column) {
            let line = number(head.position());
            return Err(format!("line {line}: the column {column:?} is there twice"));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = number(record.position());
        if ends(&record)? {
            break;
        }
        if record.len() != head.len() {
            let (cells, columns) = (words::count(record.len(), "cell"), head.len());
            return Err(format!("line {line}: it has {cells}, and the head {columns}"));
        }
        let fields = of_record(head.iter().zip(&record));
        let row = fields.and_then(|fields| Row::of(line, fields, default, folder));
        rows.push(row.map_err(|why| format!("line {line}: {why}"))?);
    }
    Ok(rows)
}

/// Numbers the lines of a content, whatever they end with: the parser's own numbers are of `\n` alone, and count what
/// is left of a `\r\n` to the record behind it.
struct Lines<'a> {
    content: &'a [u8],
    /// The place up to which lines are counted, and the number of the line there.
    counted: Cell<(usize, usize)>,
}

impl<'a> Lines<'a> {
    const fn of(content: &'a [u8]) -> Self {
        let counted = Cell::new((0, 1));
        Self { content, counted }
    }

    /// The line on which the record at that position begins, which lies at or behind the last one that was asked for.
    fn number(&self, at: &csv::Position) -> usize {
        let is_end = |byte: u8| matches!(byte, b'\r' | b'\n');
        let at = usize::try_from(at.byte()).unwrap_or(usize::MAX);
        let after = self.content.get(at..).unwrap_or_default();
        let start = at + after.iter().take_while(|byte| is_end(**byte)).count();
        let (from, line) = self.counted.get();
        let ends = (from..start.min(self.content.len())).filter(|place| match self.content[*place] {
            b'\n' => *place == 0 || self.content[*place - 1] != b'\r',
            byte => byte == b'\r',
        });
        let line = line + ends.count();
        self.counted.set((start.max(from), line));
        line
    }
}

/// An empty cell says nothing.
fn of_record<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Fields, String> {
    let mut fields = Fields::default();
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
             max_sentences, ratio, target_language, schema, engine, priority, max_attempts, timeout_seconds and \
             metadata.KEY, with commas between them"
        )),
    }
}

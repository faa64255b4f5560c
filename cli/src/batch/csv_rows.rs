//! Reads the tasks of a CSV file. The columns have the names of the API's fields.

use std::cell::Cell;
use std::io::Read;
use std::path::Path;

use mesh_task::TaskType;
use serde_json::Value;

use super::row::{Fields, Row};
use crate::{args, format};

/// Appended to the content as a record of its own. If a quote is never closed, the last record swallows it, which shows
/// the mistake.
const END: &str = "\u{4}";

pub(super) fn read(content: &[u8], default: Option<TaskType>, folder: &Path) -> Result<Vec<Row>, String> {
    let line_numbers = LineNumbers::new(content);
    let line_of = |position: Option<&csv::Position>| position.map_or(1, |at| line_numbers.line_of(at));
    let unreadable = |error: csv::Error| match error.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = line_of(pos.as_ref());
            format!("line {line}: the text is not UTF-8: save the file as UTF-8")
        }
        _ => error.to_string(),
    };
    let is_end = |record: &csv::StringRecord| match record.iter().next_back() {
        Some(END) if record.len() == 1 => Ok(true),
        Some(cell) if cell.ends_with(END) => {
            let line = line_of(record.position());
            Err(format!("line {line}: a quote is not closed"))
        }
        _ => Ok(false),
    };
    let content = content.chain(b"\n".as_slice()).chain(END.as_bytes());
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(content);
    let header = reader.headers().map_err(unreadable)?.clone();
    if is_end(&header)? {
        return Ok(Vec::new());
    }
    for (index, column) in header.iter().enumerate() {
        if header.iter().take(index).any(|before| before == column) {
            let line = line_of(header.position());
            return Err(format!("line {line}: the column {column:?} is a duplicate"));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = line_of(record.position());
        if is_end(&record)? {
            break;
        }
        if record.len() != header.len() {
            let (cells, columns) = (format::count(record.len(), "cell"), header.len());
            return Err(format!(
                "line {line}: the line has {cells}, and the header {columns}"
            ));
        }
        let fields = fields(header.iter().zip(&record));
        let row = fields.and_then(|fields| Row::new(line, fields, default, folder));
        rows.push(row.map_err(|why| format!("line {line}: {why}"))?);
    }
    Ok(rows)
}

/// Finds line numbers for all kinds of line ends. The parser's own numbers only count `\n`, and attribute the rest of a
/// `\r\n` to the next record.
struct LineNumbers<'a> {
    content: &'a [u8],
    /// The offset up to which lines are counted, and the number of the line there.
    counted: Cell<(usize, usize)>,
}

impl<'a> LineNumbers<'a> {
    const fn new(content: &'a [u8]) -> Self {
        let counted = Cell::new((0, 1));
        Self { content, counted }
    }

    /// The line on which the record at that position begins. Positions must not decrease from call to call.
    fn line_of(&self, position: &csv::Position) -> usize {
        let is_line_end = |byte: u8| matches!(byte, b'\r' | b'\n');
        let offset = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        let rest = self.content.get(offset..).unwrap_or_default();
        let start = offset + rest.iter().take_while(|byte| is_line_end(**byte)).count();
        let (from, line) = self.counted.get();
        let line_ends = (from..start.min(self.content.len())).filter(|index| match self.content[*index] {
            b'\n' => *index == 0 || self.content[*index - 1] != b'\r',
            byte => byte == b'\r',
        });
        let line = line + line_ends.count();
        self.counted.set((start.max(from), line));
        line
    }
}

/// The fields of a record. An empty cell is the same as a missing one.
fn fields<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Fields, String> {
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
                    fields.input.insert(column.to_owned(), input_value(column, cell)?);
                }
            },
        }
    }
    Ok(fields)
}

/// A cell as the value of the input field that the column names.
fn input_value(column: &str, cell: &str) -> Result<Value, String> {
    let json = || serde_json::from_str(cell).map_err(|error| format!("{column} is not valid JSON: {error}"));
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
            "unknown column {column:?}: use type, text, file, upload, texts, labels, multi_label, max_sentences, \
             ratio, target_language, schema, engine, priority, max_attempts, timeout_seconds or metadata.KEY, and \
             separate columns by commas"
        )),
    }
}

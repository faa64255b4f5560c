//! Reads the tasks of a batch's file: JSONL with one task per line as the API takes it, or CSV with the API's fields as
//! columns. The whole file is read before anything is sent, so that an invalid line does not leave the batch half done.

use std::path::Path;

use anyhow::Result;
use mesh_task::TaskType;

use super::csv_rows;
use super::row::Row;
use crate::exit::usage;
use crate::input;

#[derive(Debug, Clone, Copy)]
pub(super) enum FileFormat {
    JsonLines,
    Csv,
}

impl FileFormat {
    pub(super) fn from_path(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            _ => Err(usage(format!(
                "{}: the file's name must end with .jsonl or .csv",
                path.display()
            ))),
        }
    }
}

/// Reads the tasks of a file's content, without the files that they name.
pub(super) fn read(
    path: &Path,
    format: FileFormat,
    content: &[u8],
    default: Option<TaskType>,
) -> Result<Vec<Row>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let content = content
        .strip_prefix(input::BYTE_ORDER_MARK.as_bytes())
        .unwrap_or(content);
    let rows = match format {
        FileFormat::JsonLines => read_json_lines(content, default, folder),
        FileFormat::Csv => csv_rows::read(content, default, folder),
    };
    let rows = rows.map_err(|why| invalid_file(path, &why, false))?;
    if rows.is_empty() {
        return Err(usage(format!("{} contains no tasks", path.display())));
    }
    Ok(rows)
}

/// Checks the files that the rows name. A file of a row that was sent may be missing or changed. If it is there, its
/// size still counts, because it decides where the next requests begin.
pub(super) fn check_files(
    path: &Path,
    rows: &mut [Row],
    is_resumed: bool,
    is_sent: impl Fn(&Row) -> bool,
) -> Result<()> {
    for row in rows {
        if !is_sent(row) {
            let checked = row.check_file();
            checked.map_err(|why| invalid_file(path, &format!("line {}: {why}", row.line), is_resumed))?;
        } else if row.open_again().is_some() {
            let _ = row.check_file();
        }
    }
    Ok(())
}

fn invalid_file(path: &Path, why: &str, is_resumed: bool) -> anyhow::Error {
    let nothing = if is_resumed { "nothing more" } else { "nothing" };
    usage(format!("{}: {why}; {nothing} was submitted", path.display()))
}

fn read_json_lines(content: &[u8], default: Option<TaskType>, folder: &Path) -> Result<Vec<Row>, String> {
    let lines = content.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines
        .map(|(index, line)| {
            let line_number = index + 1;
            let fields = serde_json::from_slice(line).map_err(|error| without_line(&error));
            fields
                .and_then(|fields| Row::new(line_number, fields, default, folder))
                .map_err(|why| format!("line {line_number}: {why}"))
        })
        .collect()
}

/// The parser's message without its line number, which is always 1 here.
fn without_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests;

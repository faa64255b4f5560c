//! Writes the results, one JSON object per line.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use mesh_client::{Client, ProblemDocument, TaskView};
use mesh_task::{Failure, TaskId, TaskResult, TaskType};
use serde::{Deserialize, Serialize};

use crate::exit::usage;
use crate::screen::escape_controls;
use crate::tasks;

/// The result of one line of the batch's file.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<TaskId>,
    #[serde(rename = "type")]
    task_type: TaskType,
    /// The task's status, or `refused`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<TaskResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemDocument>,
}

impl Record {
    /// The record of a final task.
    pub(super) async fn from_task(client: &Client, line: usize, task: TaskView) -> Result<Self> {
        let result = tasks::load_result(client, &task).await?;
        let accepted = Self::accepted(line, task.id, task.task_type);
        Ok(Self {
            status: task.status.as_str(),
            result,
            error: task.error,
            ..accepted
        })
    }

    pub(super) const fn accepted(line: usize, id: TaskId, task_type: TaskType) -> Self {
        Self {
            line,
            id: Some(id),
            task_type,
            status: "pending",
            result: None,
            error: None,
            problem: None,
        }
    }

    /// The record of a line that the API refused. With an id, of a task that the API accepted and has since deleted.
    pub(super) const fn refused(
        line: usize,
        id: Option<TaskId>,
        task_type: TaskType,
        problem: ProblemDocument,
    ) -> Self {
        Self {
            line,
            id,
            task_type,
            status: "refused",
            result: None,
            error: None,
            problem: Some(problem),
        }
    }
}

/// The number of lines by result.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) refused: usize,
}

impl Counts {
    pub(super) const fn total(self) -> usize {
        self.done + self.failed + self.refused
    }

    fn add(&mut self, status: &str) {
        match status {
            "refused" => self.refused += 1,
            "failed" | "cancelled" => self.failed += 1,
            _ => self.done += 1,
        }
    }
}

/// Writes results as they arrive or in the order of the lines.
pub(super) struct Output {
    sink: Box<dyn Write>,
    is_on_terminal: bool,
    /// The lines still to write, if results are written in order.
    order: Option<VecDeque<usize>>,
    buffered: BTreeMap<usize, Vec<u8>>,
    pub(super) counts: Counts,
}

/// The fields of a written record that a later run needs.
#[derive(Deserialize)]
struct WrittenRecord {
    line: usize,
    status: String,
}

/// The complete lines of a file, with their line ends. If a run was interrupted while it wrote, the rest may end in the
/// middle of a character.
pub(super) fn complete_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    &bytes[..end.map_or(0, |end| end + 1)]
}

/// The lines that an interrupted run has written, with their status.
pub(super) fn written(path: &Path) -> Result<HashMap<usize, String>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(usage(format!("cannot read {}: {error}", path.display()))),
    };
    let complete = complete_lines(&bytes);
    let lines = complete.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let record: WrittenRecord = serde_json::from_slice(line).map_err(|_| {
            usage(format!(
                "{} contains something other than results: name another --output",
                path.display()
            ))
        })?;
        Ok((record.line, record.status))
    });
    let written = lines.collect::<Result<_>>()?;
    if complete.len() < bytes.len() {
        // Remove the incomplete last line. This run writes it again.
        let file = OpenOptions::new().write(true).open(path);
        let cut = file.and_then(|file| file.set_len(complete.len() as u64));
        cut.map_err(|error| usage(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(written)
}

impl Output {
    /// Appends to a file, or writes to standard output.
    pub(super) fn open(path: Option<&Path>, is_on_terminal: bool) -> Result<Self> {
        let sink: Box<dyn Write> = match path {
            Some(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                Box::new(file.map_err(|error| usage(format!("cannot write {}: {error}", path.display())))?)
            }
            None => Box::new(io::stdout()),
        };
        Ok(Self {
            sink,
            is_on_terminal,
            order: None,
            buffered: BTreeMap::new(),
            counts: Counts::default(),
        })
    }

    /// Buffers each result until the results of all lines before it are written.
    pub(super) fn in_order(&mut self, lines: VecDeque<usize>) {
        self.order = Some(lines);
    }

    pub(super) fn count(&mut self, status: &str) {
        self.counts.add(status);
    }

    /// The number of results that are written, without the buffered ones.
    pub(super) fn written(&self) -> usize {
        self.counts.total() - self.buffered.len()
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        self.counts.add(record.status);
        let mut line = serde_json::to_string(record)?;
        if self.is_on_terminal {
            line = escape_controls(&line);
        }
        line.push('\n');
        let line = line.into_bytes();
        let Some(order) = &mut self.order else {
            // One write per line, so that an interrupted run leaves complete lines.
            self.sink.write_all(&line)?;
            return Ok(self.sink.flush()?);
        };
        self.buffered.insert(record.line, line);
        while let Some(line) = order.front().and_then(|next| self.buffered.remove(next)) {
            order.pop_front();
            self.sink.write_all(&line)?;
        }
        Ok(self.sink.flush()?)
    }
}

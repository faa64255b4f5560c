//! The results, a line each.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use mesh_client::{Client, Problem, Task};
use mesh_task::{Failure, TaskId, TaskResult, TaskType};
use serde::{Deserialize, Serialize};

use crate::exit::usage;
use crate::screen::escaped;
use crate::tasks;

/// What became of a line.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<TaskId>,
    #[serde(rename = "type")]
    task_type: TaskType,
    /// The task's, or `refused`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<TaskResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

impl Record {
    /// Of a task that is final.
    pub(super) async fn of(client: &Client, line: usize, task: Task) -> Result<Self> {
        let result = tasks::result_of(client, &task).await?;
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

    /// Of a line that became no task; or of a task, by its id, that the API does not know any more.
    pub(super) const fn refused(
        line: usize,
        id: Option<TaskId>,
        task_type: TaskType,
        problem: Problem,
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

/// How many lines have come to which end.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct BatchMetrics {
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) refused: usize,
}

impl BatchMetrics {
    pub(super) const fn all(self) -> usize {
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

/// Where results are written, as they come or in the order of the lines.
pub(super) struct Output {
    sink: Box<dyn Write>,
    is_on_terminal: bool,
    /// The lines that are still to be written, where they are in order.
    order: Option<VecDeque<usize>>,
    held: BTreeMap<usize, Vec<u8>>,
    pub(super) batch_metrics: BatchMetrics,
}

/// What an earlier run wrote, as far as it matters.
#[derive(Deserialize)]
struct Written {
    line: usize,
    status: String,
}

/// The whole lines of what a run may have been cut off in, with their line ends: what follows them may end in the middle
/// of a character.
pub(super) fn whole(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    &bytes[..end.map_or(0, |end| end + 1)]
}

/// The lines that an interrupted run has written already, by what became of them.
pub(super) fn written(path: &Path) -> Result<HashMap<usize, String>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(usage(format!("{} can't be read: {error}", path.display()))),
    };
    let whole = whole(&bytes);
    let lines = whole.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let read: Written = serde_json::from_slice(line).map_err(|_| {
            usage(format!(
                "{} holds something else than results: name another --output",
                path.display()
            ))
        })?;
        Ok((read.line, read.status))
    });
    let written = lines.collect::<Result<_>>()?;
    if whole.len() < bytes.len() {
        // The last line was cut off: it is written anew.
        let file = OpenOptions::new().write(true).open(path);
        let cut = file.and_then(|file| file.set_len(whole.len() as u64));
        cut.map_err(|error| usage(format!("{} can't be written: {error}", path.display())))?;
    }
    Ok(written)
}

impl Output {
    /// To a file's end, or to standard output.
    pub(super) fn open(path: Option<&Path>, is_on_terminal: bool) -> Result<Self> {
        let sink: Box<dyn Write> = match path {
            Some(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                Box::new(
                    file.map_err(|error| usage(format!("{} can't be written: {error}", path.display())))?,
                )
            }
            None => Box::new(io::stdout()),
        };
        Ok(Self {
            sink,
            is_on_terminal,
            order: None,
            held: BTreeMap::new(),
            batch_metrics: BatchMetrics::default(),
        })
    }

    /// Holds results back until those of the lines before them are written.
    pub(super) fn in_order(&mut self, lines: VecDeque<usize>) {
        self.order = Some(lines);
    }

    pub(super) fn count(&mut self, status: &str) {
        self.batch_metrics.add(status);
    }

    /// How many results are written: not those that are held back.
    pub(super) fn written(&self) -> usize {
        self.batch_metrics.all() - self.held.len()
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        self.batch_metrics.add(record.status);
        let mut line = serde_json::to_string(record)?;
        if self.is_on_terminal {
            line = escaped(&line);
        }
        line.push('\n');
        let line = line.into_bytes();
        let Some(order) = &mut self.order else {
            // In one piece: what is interrupted leaves whole lines.
            self.sink.write_all(&line)?;
            return Ok(self.sink.flush()?);
        };
        self.held.insert(record.line, line);
        while let Some(line) = order.front().and_then(|next| self.held.remove(next)) {
            order.pop_front();
            self.sink.write_all(&line)?;
        }
        Ok(self.sink.flush()?)
    }
}

//! `mesh batch`: submits a file's tasks, many per request, waits for them and writes their results. The same command
//! resumes an interrupted batch; [`journal`] explains how it submits no line twice.

mod bar;
mod csv_rows;
mod journal;
mod output;
mod row;
mod rows;
mod submit;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indicatif::ProgressBar;
use mesh_client::{Client, Error, TaskView};
use mesh_task::{TaskId, TaskType};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::args::BatchArgs;
use crate::exit::{Exit, InvalidResponse, usage};
use crate::screen::Screen;
use crate::shutdown_signals::ShutdownSignals;
use crate::task_waiter::{self, TaskWaiter};
use crate::{format, input};
use journal::{Journal, LineResponse};
use output::{Counts, Output, Record};
use row::Row;
use rows::FileFormat;
use submit::SubmittedLine;

/// How many requests to submit tasks run at once.
const MAX_SUBMITS: usize = 2;
/// A batch waits until the user ends it.
const TIMEOUT: Duration = Duration::from_secs(365 * 86_400);

struct Batch<'a> {
    client: &'a Client,
    rows: Vec<Row>,
    /// SHA-256 of the file's content and of the options that affect its requests.
    digest: String,
    journal: RefCell<Journal>,
    /// The lines that earlier runs have written, with their status.
    written: HashMap<usize, String>,
}

pub(crate) async fn run(client: &Client, args: &BatchArgs, screen: &Screen) -> Result<Exit> {
    let file_format = FileFormat::from_path(&args.file)?;
    let content = input::read(&args.file)?;
    let mut rows = rows::read(&args.file, file_format, &content, args.task_type)?;
    let digest = digest(&content, args);
    let output_path = output_path(args);
    let (mut journal, mut written) = open_journal(output_path.as_deref(), &digest, client.url(), args.again)?;
    let lines: HashSet<_> = rows.iter().map(|row| row.line).collect();
    written.retain(|line, _| lines.contains(line));
    // A line that was sent no longer needs its file, nor does one whose uploaded file is gone.
    let is_sent = |row: &Row| {
        written.contains_key(&row.line)
            || journal.response(row.line).is_some()
            || (journal.upload(row.line).is_some() && row.open_again().is_none())
    };
    rows::check_files(&args.file, &mut rows, journal.is_created(), is_sent)?;
    journal.create()?;
    let is_on_terminal = output_path.is_none() && screen.is_terminal;
    let mut output = Output::open(output_path.as_deref(), is_on_terminal)?;
    for status in written.values() {
        output.count(status);
    }
    if args.in_order {
        let lines = rows.iter().map(|row| row.line);
        output.in_order(lines.filter(|line| !written.contains_key(line)).collect());
    }
    let bar = bar::progress(rows.len(), written.len(), is_on_terminal)?;
    let batch = Batch {
        client,
        rows,
        digest,
        journal: RefCell::new(journal),
        written,
    };
    let mut signals = ShutdownSignals::listen()?;
    let result = tokio::select! {
        result = batch.finish(args, screen, &mut output, &bar) => result.map(|()| Exit::Done),
        exit = signals.next() => Ok(exit),
    };
    bar.finish_and_clear();
    let (total, counts) = (batch.rows.len(), output.counts);
    let finished = counts.total();
    if !matches!(result, Ok(Exit::Done)) {
        let effect = if batch.journal.borrow().is_stored() {
            "resumes from there"
        } else {
            "starts again, because there is no journal without an output file"
        };
        screen.note(&format!(
            "mesh: {finished} of {total} lines are finished; the same command {effect}"
        ));
        return result;
    }
    batch.journal.into_inner().remove()?;
    if screen.json && output_path.is_some() {
        screen.value(&json!({
            "lines": total, "done": counts.done, "failed": counts.failed, "refused": counts.refused,
            "output": output_path,
        }))?;
    } else {
        screen.note(&summary(total, counts, args.no_wait, output_path.as_deref()));
    }
    Ok(if counts.failed + counts.refused == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn summary(total: usize, counts: Counts, is_no_wait: bool, output_path: Option<&Path>) -> String {
    let done = if is_no_wait { "accepted" } else { "completed" };
    let mut message = format!("{}: {} {done}", format::count(total, "line"), counts.done);
    for (number, what) in [(counts.failed, "failed"), (counts.refused, "refused")] {
        if number > 0 {
            let _ = write!(message, ", {number} {what}");
        }
    }
    if let Some(path) = output_path {
        let _ = write!(message, "; results in {}", path.display());
    }
    message
}

/// The output file; `None` for standard output.
fn output_path(args: &BatchArgs) -> Option<PathBuf> {
    match &args.output {
        Some(path) if path == Path::new("-") => None,
        Some(path) => Some(path.clone()),
        None => {
            let mut name = OsString::from(&args.file);
            name.push(".results.jsonl");
            Some(name.into())
        }
    }
}

fn digest(content: &[u8], args: &BatchArgs) -> String {
    let options = json!([args.task_type.map(TaskType::as_str), args.size, args.no_wait]);
    let hash = Sha256::new()
        .chain_update(options.to_string())
        .chain_update(content);
    hex::encode(hash.finalize())
}

/// The journal, and the lines that are already written. An output without a journal belongs to a finished batch, and is
/// not overwritten.
fn open_journal(
    output_path: Option<&Path>,
    digest: &str,
    stack: &str,
    again: bool,
) -> Result<(Journal, HashMap<usize, String>)> {
    // A batch cannot resume in a pipe or a device.
    let is_stream = |path: &Path| path.exists() && !path.is_file() && !path.is_dir();
    let output_path = output_path.filter(|path| !is_stream(path));
    if let Some(path) = output_path {
        let shown = path.display();
        if path.is_dir() {
            return Err(usage(format!("{shown} is a folder: name a file in it")));
        }
        let journal = Journal::path_for(path);
        if journal.exists() {
            let journal = Journal::resume(journal, digest, stack)?;
            return Ok((journal, output::written(path)?));
        }
        if path.exists() {
            return Err(usage(format!(
                "{shown} already contains results: remove it, or name another --output"
            )));
        }
    }
    let salt = if again {
        format!("{:016x}", fastrand::u64(..))
    } else {
        "0".to_owned()
    };
    let journal = Journal::new(output_path.map(Journal::path_for), digest, stack, salt);
    Ok((journal, HashMap::new()))
}

impl Batch<'_> {
    /// Submits the lines that were not submitted before, waits for the tasks and writes all missing results.
    async fn finish(
        &self,
        args: &BatchArgs,
        screen: &Screen,
        output: &mut Output,
        bar: &ProgressBar,
    ) -> Result<()> {
        let plan = self.plan(args.size).await?;
        if plan.uncertain > 0 {
            let lines = format::count(plan.uncertain, "line");
            let message = format!(
                "mesh: {lines} may run twice: the request with them got no response, and cannot be repeated because it \
                 is more than 24 hours old or a file has changed"
            );
            bar.suspend(|| screen.note(&message));
        }
        let mut requests = plan.requests.into_iter();
        let mut submits = FuturesUnordered::new();
        let tasks = if args.no_wait { 0 } else { self.rows.len() };
        let mut waiter = TaskWaiter::start(self.client, tasks, TIMEOUT).await?;
        let mut waiting: HashMap<TaskId, (usize, TaskType)> = HashMap::new();
        let mut records = FuturesUnordered::new();
        let mut submitted = self.written.len();
        let mut is_first = true;
        let mut lines = self.submitted_lines();
        loop {
            submitted += lines.len();
            bar.set_message(submitted.to_string());
            for submitted_line in lines.drain(..) {
                let SubmittedLine {
                    line,
                    task_type,
                    response,
                    is_open,
                } = submitted_line;
                let record = match response {
                    LineResponse::Accepted(id) if !args.no_wait => {
                        waiting.insert(id, (line, task_type));
                        if is_open {
                            waiter.add_open(id);
                        } else {
                            waiter.add(id);
                        }
                        continue;
                    }
                    LineResponse::Accepted(id) => Record::accepted(line, id, task_type),
                    LineResponse::Refused(problem) => Record::refused(line, None, task_type, problem),
                };
                output.write(&record)?;
                bar.inc(1);
            }
            let free = MAX_SUBMITS - submits.len();
            submits.extend(requests.by_ref().take(free).map(|request| self.submit(request)));
            if submits.is_empty() {
                waiter.close();
            }
            tokio::select! {
                Some(submitted) = submits.next() => lines = submitted?,
                Some((id, task)) = waiter.next(), if records.len() < task_waiter::MAX_REQUESTS => {
                    if let Some((line, task_type)) = waiting.remove(&id) {
                        records.push(self.record(line, id, task_type, task));
                    }
                }
                Some(record) = records.next() => {
                    output.write(&record?)?;
                    bar.inc(1);
                    if std::mem::take(&mut is_first) {
                        // The time before the first result includes cold starts, so it does not count.
                        bar.reset_eta();
                    }
                }
                else => break,
            }
        }
        // The caller removes the journal of a finished batch, so check first that every line has a result.
        let missing = self.rows.len().abs_diff(output.written());
        if missing > 0 {
            let lines = format::count(missing, "line");
            let message = format!("{lines} got no result: please report this bug");
            return Err(InvalidResponse(message).into());
        }
        Ok(())
    }

    async fn record(
        &self,
        line: usize,
        id: TaskId,
        task_type: TaskType,
        task: Result<TaskView, Error>,
    ) -> Result<Record> {
        match task {
            Ok(task) => Record::from_task(self.client, line, task).await,
            // The API may have deleted a task that an old journal names. The other lines go on.
            Err(Error::Problem(problem)) if problem.status == 404 => {
                Ok(Record::refused(line, Some(id), task_type, problem))
            }
            Err(error) => Err(error.into()),
        }
    }
}

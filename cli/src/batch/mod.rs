//! `mesh batch`: submits a file's tasks many to a request, waits for them and writes what became of each. What was
//! interrupted goes on where it was: [`journal`] says how no line is submitted twice.

mod bar;
mod journal;
mod output;
mod rows;
mod submit;
mod table;

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
use mesh_client::{Client, Error, Task};
use mesh_task::{TaskId, TaskType};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::args::BatchArgs;
use crate::ends::Ends;
use crate::exit::{Exit, Unsound, usage};
use crate::gather::{self, Gather};
use crate::screen::Screen;
use crate::{input, words};
use journal::{Journal, Known};
use output::{BatchMetrics, Output, Record};
use rows::{Form, Row};
use submit::Answer;

/// How many requests are under way at once.
const SUBMITS: usize = 2;
/// SweepPolicy is the user's, who has Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(365 * 86_400);

/// A batch under way.
struct Batch<'a> {
    client: &'a Client,
    rows: Vec<Row>,
    /// SHA-256 of what decides on its requests.
    digest: String,
    journal: RefCell<Journal>,
    /// What became of the lines that an earlier run has written.
    written: HashMap<usize, String>,
}

pub(crate) async fn run(client: &Client, args: &BatchArgs, screen: &Screen) -> Result<Exit> {
    let form = Form::of(&args.file)?;
    let content = input::read(&args.file)?;
    let mut rows = rows::read(&args.file, form, &content, args.task_type)?;
    let digest = digest(&content, args);
    let place = place(args);
    let (mut journal, mut written) = open(place.as_deref(), &digest, client.url(), args.again)?;
    let lines: HashSet<_> = rows.iter().map(|row| row.line).collect();
    written.retain(|line, _| lines.contains(line));
    // What was sent needs its file no more; what was only uploaded may go without.
    let is_sent = |row: &Row| {
        written.contains_key(&row.line)
            || journal.of(row.line).is_some()
            || (journal.upload_of(row.line).is_some() && row.open_again().is_none())
    };
    rows::check_files(&args.file, &mut rows, journal.is_begun(), is_sent)?;
    journal.begin()?;
    let is_on_terminal = place.is_none() && screen.is_terminal;
    let mut output = Output::open(place.as_deref(), is_on_terminal)?;
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
    let mut ends = Ends::listen()?;
    let ended = tokio::select! {
        ended = batch.through(args, screen, &mut output, &bar) => ended.map(|()| Exit::Done),
        exit = ends.next() => Ok(exit),
    };
    bar.finish_and_clear();
    let (total, batch_metrics) = (batch.rows.len(), output.batch_metrics);
    let finished = batch_metrics.all();
    if !matches!(ended, Ok(Exit::Done)) {
        let on = if batch.journal.borrow().is_kept() {
            "goes on from there"
        } else {
            "begins anew: where the results go to no file, there is no journal"
        };
        screen.note(&format!(
            "mesh: {finished} of {total} lines are finished; the same command {on}"
        ));
        return ended;
    }
    batch.journal.into_inner().done()?;
    if screen.json && place.is_some() {
        screen.value(&json!({
            "lines": total, "done": batch_metrics.done, "failed": batch_metrics.failed, "refused": batch_metrics.refused, "output": place,
        }))?;
    } else {
        screen.note(&summary(total, batch_metrics, args.no_wait, place.as_deref()));
    }
    Ok(if batch_metrics.failed + batch_metrics.refused == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn summary(total: usize, batch_metrics: BatchMetrics, is_unwaited: bool, place: Option<&Path>) -> String {
    let whole = if is_unwaited { "accepted" } else { "completed" };
    let mut told = format!("{}: {} {whole}", words::count(total, "line"), batch_metrics.done);
    for (number, what) in [
        (batch_metrics.failed, "failed"),
        (batch_metrics.refused, "refused"),
    ] {
        if number > 0 {
            let _ = write!(told, ", {number} {what}");
        }
    }
    if let Some(place) = place {
        let _ = write!(told, "; results in {}", place.display());
    }
    told
}

/// Where the results go; none for standard output.
fn place(args: &BatchArgs) -> Option<PathBuf> {
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

/// The journal, and the lines that are written already. An output without a journal is someone's finished work.
fn open(
    place: Option<&Path>,
    digest: &str,
    stack: &str,
    again: bool,
) -> Result<(Journal, HashMap<usize, String>)> {
    // Nor is a pipe or a device a place to go on in.
    let is_stream = |place: &Path| place.exists() && !place.is_file() && !place.is_dir();
    let place = place.filter(|place| !is_stream(place));
    if let Some(place) = place {
        let shown = place.display();
        if place.is_dir() {
            return Err(usage(format!("{shown} is a folder: name a file in it")));
        }
        let journal = Journal::beside(place);
        if journal.exists() {
            let journal = Journal::resume(journal, digest, stack)?;
            return Ok((journal, output::written(place)?));
        }
        if place.exists() {
            return Err(usage(format!(
                "{shown} holds results already: remove it, or name another --output"
            )));
        }
    }
    let salt = if again {
        format!("{:016x}", fastrand::u64(..))
    } else {
        "0".to_owned()
    };
    let journal = Journal::new(place.map(Journal::beside), digest, stack, salt);
    Ok((journal, HashMap::new()))
}

impl Batch<'_> {
    /// Takes every line to its end that is not written yet.
    async fn through(
        &self,
        args: &BatchArgs,
        screen: &Screen,
        output: &mut Output,
        bar: &ProgressBar,
    ) -> Result<()> {
        let plan = self.plan(args.size).await?;
        if plan.uncertain > 0 {
            let lines = words::count(plan.uncertain, "line");
            let told = format!(
                "mesh: {lines} may run twice: a request with them was not answered and can't be repeated as it was, for \
                 it is over 24 hours ago or a file has changed"
            );
            bar.suspend(|| screen.note(&told));
        }
        let mut requests = plan.requests.into_iter();
        let mut submits = FuturesUnordered::new();
        let tasks = if args.no_wait { 0 } else { self.rows.len() };
        let mut gather = Gather::begin(self.client, tasks, PATIENCE).await?;
        let mut waited: HashMap<TaskId, (usize, TaskType)> = HashMap::new();
        let mut records = FuturesUnordered::new();
        let mut submitted = self.written.len();
        let mut is_first = true;
        let mut answered = self.known();
        loop {
            submitted += answered.len();
            bar.set_message(submitted.to_string());
            for answer in answered.drain(..) {
                let Answer {
                    line,
                    task_type,
                    known,
                    is_open,
                } = answer;
                let record = match known {
                    Known::Id(id) if !args.no_wait => {
                        waited.insert(id, (line, task_type));
                        if is_open {
                            gather.add_open(id);
                        } else {
                            gather.add(id);
                        }
                        continue;
                    }
                    Known::Id(id) => Record::accepted(line, id, task_type),
                    Known::Problem(problem) => Record::refused(line, None, task_type, problem),
                };
                output.write(&record)?;
                bar.inc(1);
            }
            let free = SUBMITS - submits.len();
            submits.extend(requests.by_ref().take(free).map(|request| self.submit(request)));
            if submits.is_empty() {
                gather.all_are_added();
            }
            tokio::select! {
                Some(answers) = submits.next() => answered = answers?,
                Some((id, task)) = gather.next(), if records.len() < gather::REQUESTS => {
                    if let Some((line, task_type)) = waited.remove(&id) {
                        records.push(self.record(line, id, task_type, task));
                    }
                }
                Some(record) = records.next() => {
                    output.write(&record?)?;
                    bar.inc(1);
                    if std::mem::take(&mut is_first) {
                        // Until here the stack was still waking up.
                        bar.reset_eta();
                    }
                }
                else => break,
            }
        }
        // The journal ends with the batch, and would take with it what it knows of such a line.
        let missing = self.rows.len().abs_diff(output.written());
        if missing > 0 {
            let lines = words::count(missing, "line");
            let told = format!("{lines} came to no end, which should not be: please report it");
            return Err(Unsound(told).into());
        }
        Ok(())
    }

    async fn record(
        &self,
        line: usize,
        id: TaskId,
        task_type: TaskType,
        task: Result<Task, Error>,
    ) -> Result<Record> {
        match task {
            Ok(task) => Record::of(self.client, line, task).await,
            // A journal may outlive the tasks that it knows of: the other lines are gone on with.
            Err(Error::Problem(problem)) if problem.status == 404 => {
                Ok(Record::refused(line, Some(id), task_type, problem))
            }
            Err(error) => Err(error.into()),
        }
    }
}

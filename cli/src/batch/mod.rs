//! `mesh batch`: submits a file's tasks many to a request, waits for them and writes what became of each. What was
//! interrupted goes on where it was: [`journal`] says how no line is submitted twice.

mod bar;
mod journal;
mod output;
mod rows;
mod table;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indicatif::ProgressBar;
use mesh_client::{Client, Error, Submission, Task};
use mesh_task::{TaskId, TaskType};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use crate::args::BatchArgs;
use crate::exit::{Exit, usage};
use crate::gather::{self, Gather};
use crate::screen::Screen;
use crate::{input, words};
use journal::{Journal, Known};
use output::{Output, Record, Tally};
use rows::{Form, Row};

/// What a request's tasks may take: the API's limit is 6 MB.
const MAX_REQUEST_BYTES: usize = 4_000_000;
/// How many requests are under way at once.
const SUBMITS: usize = 2;
/// How often entries are sent again that the API could not keep just now.
const MOST_TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Patience is the user's, who has Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(365 * 86_400);

/// What is known of a line once it was submitted.
struct Answer {
    line: usize,
    task_type: TaskType,
    known: Known,
    /// Its task was accepted in this run and is not final.
    is_open: bool,
}

/// A batch under way.
struct Batch<'a> {
    client: &'a Client,
    rows: Vec<Row>,
    /// SHA-256 of what decides on its requests.
    digest: String,
    journal: RefCell<Journal>,
}

pub(crate) async fn run(client: &Client, args: &BatchArgs, screen: &Screen) -> Result<Exit> {
    let form = Form::of(&args.file)?;
    let content = input::read(&args.file)?;
    let rows = rows::read(&args.file, form, &content, args.task_type)?;
    let digest = digest(&content, args);
    let place = place(args);
    let (journal, written) = open(place.as_deref(), &digest, args.again)?;
    let mut output = Output::open(place.as_deref())?;
    for status in written.values() {
        output.count(status);
    }
    if args.in_order {
        let lines = rows.iter().map(|row| row.line);
        output.in_order(lines.filter(|line| !written.contains_key(line)).collect());
    }
    let is_in_the_way = place.is_none() && screen.is_terminal;
    let bar = bar::progress(rows.len(), written.len(), is_in_the_way)?;
    let batch = Batch {
        client,
        rows,
        digest,
        journal: RefCell::new(journal),
    };
    let ended = tokio::select! {
        ended = batch.through(args, &written, &mut output, &bar) => Some(ended),
        signal = tokio::signal::ctrl_c() => {
            signal.context("Ctrl-C can't be listened for")?;
            None
        }
    };
    bar.finish_and_clear();
    let (total, tally) = (batch.rows.len(), output.tally);
    let finished = tally.done + tally.failed + tally.refused;
    if !matches!(ended, Some(Ok(()))) {
        let on = if batch.journal.borrow().is_kept() {
            "goes on from there"
        } else {
            "begins anew: where the results go to no file, there is no journal"
        };
        screen.note(&format!(
            "mesh: {finished} of {total} lines are finished; the same command {on}"
        ))?;
        return ended.unwrap_or(Ok(())).map(|()| Exit::Interrupted);
    }
    batch.journal.into_inner().done()?;
    if screen.json && place.is_some() {
        screen.value(&json!({
            "lines": total, "done": tally.done, "failed": tally.failed, "refused": tally.refused, "output": place,
        }))?;
    } else {
        screen.note(&summary(total, tally, args.no_wait, place.as_deref()))?;
    }
    Ok(if tally.failed + tally.refused == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn summary(total: usize, tally: Tally, is_unwaited: bool, place: Option<&Path>) -> String {
    let whole = if is_unwaited { "accepted" } else { "completed" };
    let mut told = format!("{}: {} {whole}", words::count(total, "line"), tally.done);
    for (number, what) in [(tally.failed, "failed"), (tally.refused, "refused")] {
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
fn open(place: Option<&Path>, digest: &str, again: bool) -> Result<(Journal, HashMap<usize, String>)> {
    let salt = if again {
        format!("{:016x}", fastrand::u64(..))
    } else {
        "0".to_owned()
    };
    // Nor is a pipe or a device a place to go on in.
    let is_stream = |place: &Path| place.exists() && !place.is_file() && !place.is_dir();
    let Some(place) = place.filter(|place| !is_stream(place)) else {
        return Ok((Journal::nowhere(salt), HashMap::new()));
    };
    if place.is_dir() {
        return Err(usage(format!(
            "{} is a folder: name a file in it",
            place.display()
        )));
    }
    let journal = Journal::beside(place);
    if journal.exists() {
        return Ok((Journal::resume(journal, digest)?, output::written(place)?));
    }
    if place.exists() {
        let shown = place.display();
        return Err(usage(format!(
            "{shown} holds results already: remove it, or name another --output"
        )));
    }
    Ok((Journal::begin(journal, digest, salt)?, HashMap::new()))
}

impl Batch<'_> {
    /// Takes every line to its end that is not written yet.
    async fn through(
        &self,
        args: &BatchArgs,
        written: &HashMap<usize, String>,
        output: &mut Output,
        bar: &ProgressBar,
    ) -> Result<()> {
        let mut chunks = self.chunks(args.size).into_iter();
        let mut submits = FuturesUnordered::new();
        let tasks = if args.no_wait { 0 } else { self.rows.len() };
        let mut gather = Gather::begin(self.client, tasks, PATIENCE).await?;
        let mut waited: HashMap<TaskId, (usize, TaskType)> = HashMap::new();
        let mut records = FuturesUnordered::new();
        let mut submitted = 0;
        let mut are_chunks_left = true;
        let mut is_first = true;
        loop {
            while are_chunks_left && submits.len() < SUBMITS {
                match chunks.next() {
                    Some(chunk) => submits.push(self.submit(chunk)),
                    None => are_chunks_left = false,
                }
            }
            if submits.is_empty() {
                gather.all_are_added();
            }
            tokio::select! {
                Some(answered) = submits.next() => {
                    let answered: Vec<Answer> = answered?;
                    submitted += answered.len();
                    bar.set_message(submitted.to_string());
                    for Answer { line, task_type, known, is_open } in answered {
                        if written.contains_key(&line) {
                            continue;
                        }
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
                            Known::Problem(problem) => Record::refused(line, task_type, problem),
                        };
                        output.write(&record)?;
                        bar.inc(1);
                    }
                }
                Some((id, task)) = gather.next(), if records.len() < gather::REQUESTS => {
                    if let Some((line, task_type)) = waited.remove(&id) {
                        records.push(self.record(line, task_type, task));
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
                else => return Ok(()),
            }
        }
    }

    /// The rows of each request, the same in every run.
    fn chunks(&self, size: u32) -> Vec<Range<usize>> {
        let mut chunks = Vec::new();
        let (mut first, mut bytes) = (0, 0);
        for (index, row) in self.rows.iter().enumerate() {
            let is_full = index - first == size as usize || bytes + row.bytes > MAX_REQUEST_BYTES;
            if is_full && index > first {
                chunks.push(first..index);
                (first, bytes) = (index, 0);
            }
            bytes += row.bytes;
        }
        chunks.push(first..self.rows.len());
        chunks
    }

    /// What the API says of each row: from the journal, if it has said so to an earlier run.
    async fn submit(&self, chunk: Range<usize>) -> Result<Vec<Answer>> {
        let rows = &self.rows[chunk];
        let known = |row: &Row| self.journal.borrow().of(row.line).cloned();
        let mut open = HashSet::new();
        if !rows.iter().all(|row| known(row).is_some()) {
            let submissions = self.submissions(rows).await?;
            open = self.send(rows, &submissions).await?;
        }
        let each = rows.iter().map(|row| {
            let known = known(row)?;
            Some(Answer {
                line: row.line,
                task_type: row.task_type,
                is_open: matches!(known, Known::Id(id) if open.contains(&id)),
                known,
            })
        });
        each.collect::<Option<_>>()
            .ok_or_else(|| anyhow!("the API answered for other lines than were sent"))
    }

    async fn submissions(&self, rows: &[Row]) -> Result<Vec<Submission>> {
        let mut submissions = Vec::with_capacity(rows.len());
        for row in rows {
            let content = match &row.file {
                Some(path) => Some(self.content(row, path).await?),
                None => None,
            };
            submissions.push(row.submission(content));
        }
        Ok(submissions)
    }

    async fn content(&self, row: &Row, path: &Path) -> Result<(&'static str, Value)> {
        if let Some(id) = self.journal.borrow().upload_of(row.line) {
            return Ok(("upload", json!(id)));
        }
        let bytes = input::read(path)?;
        let (name, value) = input::content(self.client, row.task_type, bytes, rows::MAX_INLINE_BYTES).await?;
        if name == "upload" {
            let id = serde_json::from_value(value.clone())?;
            self.journal.borrow_mut().uploaded(row.line, id)?;
        }
        Ok((name, value))
    }

    /// Sends a request until each of its tasks is accepted or refused, and keeps that in the journal. Returns those
    /// that are not final.
    async fn send(&self, rows: &[Row], submissions: &[Submission]) -> Result<HashSet<TaskId>> {
        let key = self.key(rows, submissions);
        let mut open = HashSet::new();
        let mut tries = 1;
        loop {
            let answers = self.client.submit_batch(submissions, Some(&key)).await?;
            let (mut answered, mut busy) = (Vec::new(), None);
            for (row, answer) in rows.iter().zip(answers) {
                match answer {
                    Ok(accepted) => {
                        if !accepted.status.is_final() {
                            open.insert(accepted.id);
                        }
                        answered.push((row.line, Known::Id(accepted.id)));
                    }
                    Err(Error::Problem(problem)) if matches!(problem.status, 429 | 503) => {
                        busy = Some(problem);
                    }
                    Err(Error::Problem(problem)) => answered.push((row.line, Known::Problem(problem))),
                    Err(error) => return Err(error.into()),
                }
            }
            self.journal.borrow_mut().answered(answered)?;
            match busy {
                None => return Ok(open),
                // Under its key, the whole request again writes only what is missing.
                Some(_) if tries < MOST_TRIES => sleep(FIRST_PAUSE * (1 << (tries - 1))).await,
                Some(problem) => return Err(Error::Problem(problem).into()),
            }
            tries += 1;
        }
    }

    /// Follows from the file, the lines and what is sent for them: the same in every run, another for anything else.
    fn key(&self, rows: &[Row], submissions: &[Submission]) -> String {
        let body = hex::encode(Sha256::digest(json!(submissions).to_string()));
        let [first, last] = [rows.first(), rows.last()].map(|row| row.map_or(0, |row| row.line));
        let salt = &self.journal.borrow().salt;
        format!("mesh-{:.16}-{salt}-{first}-{last}-{body:.32}", self.digest)
    }

    async fn record(&self, line: usize, task_type: TaskType, task: Result<Task, Error>) -> Result<Record> {
        match task {
            Ok(task) => Record::of(self.client, line, task).await,
            // A journal may outlive the tasks that it knows of: the other lines are gone on with.
            Err(Error::Problem(problem)) if problem.status == 404 => {
                Ok(Record::refused(line, task_type, problem))
            }
            Err(error) => Err(error.into()),
        }
    }
}

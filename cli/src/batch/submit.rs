//! What of a batch is sent, in which requests, and what the API says of it.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use mesh_client::{Error, Submission};
use mesh_task::{TaskId, TaskType};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::Batch;
use super::journal::{self, Known, Sent, Upload};
use super::rows::{self, Row};
use crate::exit::{Unsound, Usage, usage};
use crate::input;

/// What a request's tasks may take: the API's limit is 6 MB.
const MAX_REQUEST_BYTES: usize = 4_000_000;
/// How often entries are sent again that the API could not keep just now.
const MAX_TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What is known of a line once it was submitted.
pub(super) struct Answer {
    pub(super) line: usize,
    pub(super) task_type: TaskType,
    pub(super) known: Known,
    /// Its task was accepted in this run and is not final.
    pub(super) is_open: bool,
}

/// What is sent at once, under one key.
pub(super) struct Content<'a> {
    rows: Vec<&'a Row>,
    submissions: Vec<Submission>,
    key: String,
}

/// A request of a batch.
pub(super) enum Request<'a> {
    /// One that an earlier run sent and that was not answered for all of its lines.
    Again(Content<'a>),
    New(Vec<&'a Row>),
}

/// What there is to submit.
pub(super) struct Plan<'a> {
    pub(super) requests: Vec<Request<'a>>,
    /// How many lines were in a request that was not answered and can't be repeated: who knows whether the API has them.
    pub(super) uncertain: usize,
}

impl Batch<'_> {
    /// Whether a line needs no request any more.
    pub(super) fn is_answered(&self, line: usize) -> bool {
        self.written.contains_key(&line) || self.journal.borrow().of(line).is_some()
    }

    /// What earlier runs know and have not written.
    pub(super) fn known(&self) -> Vec<Answer> {
        let rows = self
            .rows
            .iter()
            .filter(|row| !self.written.contains_key(&row.line));
        rows.filter_map(|row| self.answer(row, &HashSet::new())).collect()
    }

    fn answer(&self, row: &Row, open: &HashSet<TaskId>) -> Option<Answer> {
        let known = self.journal.borrow().of(row.line).cloned()?;
        Some(Answer {
            line: row.line,
            task_type: row.task_type,
            is_open: matches!(known, Known::Id(id) if open.contains(&id)),
            known,
        })
    }

    /// What is still to be sent: first again what was not answered, as it was while its key is remembered.
    pub(super) async fn plan(&self, size: u32) -> Result<Plan<'_>> {
        let lines = self.rows.iter().map(|row| row.line);
        let mut missing: HashSet<usize> = lines.filter(|line| !self.is_answered(*line)).collect();
        let mut uncertain: HashSet<usize> = HashSet::new();
        let mut requests = Vec::new();
        let sent = self.journal.borrow().sent().to_vec();
        // The last request that a line was in decides.
        for sent in sent.iter().rev() {
            if !sent.lines.iter().any(|line| missing.contains(line)) {
                continue;
            }
            match self.again(sent).await? {
                Some(content) => {
                    for line in &sent.lines {
                        missing.remove(line);
                    }
                    requests.push(Request::Again(content));
                }
                None => uncertain.extend(sent.lines.iter().filter(|line| missing.contains(*line))),
            }
        }
        for chunk in self.chunks(size) {
            let rows: Vec<_> = chunk.iter().filter(|row| missing.contains(&row.line)).collect();
            if !rows.is_empty() {
                requests.push(Request::New(rows));
            }
        }
        let uncertain = uncertain.len();
        Ok(Plan { requests, uncertain })
    }

    /// A request as it was sent, if it can be made again and its key is remembered.
    async fn again(&self, sent: &Sent) -> Result<Option<Content<'_>>> {
        if !journal::is_remembered(sent.at) {
            return Ok(None);
        }
        let row = |line: &usize| {
            let place = self.rows.binary_search_by_key(line, |row| row.line);
            place.ok().map(|place| &self.rows[place])
        };
        let Some(rows) = sent.lines.iter().map(row).collect() else {
            return Ok(None);
        };
        match self.content(rows).await {
            Ok(content) => Ok((content.key == sent.key).then_some(content)),
            // A file of a line that was answered may be gone.
            Err(error) if error.is::<Usage>() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The rows of each request of a file that nothing is known of. They do not depend on what is: but for files that
    /// are gone, every run has the same.
    fn chunks(&self, size: u32) -> Vec<&[Row]> {
        let mut chunks = Vec::new();
        let (mut first, mut bytes) = (0, 0);
        for (index, row) in self.rows.iter().enumerate() {
            let is_full = index - first == size as usize || bytes + row.bytes > MAX_REQUEST_BYTES;
            if is_full && index > first {
                chunks.push(&self.rows[first..index]);
                (first, bytes) = (index, 0);
            }
            bytes += row.bytes;
        }
        chunks.push(&self.rows[first..]);
        chunks
    }

    /// What the API says of the rows of a request that it has not said yet.
    pub(super) async fn submit(&self, request: Request<'_>) -> Result<Vec<Answer>> {
        let content = match request {
            Request::Again(content) => content,
            Request::New(rows) => {
                let content = self.content(rows).await?;
                let lines = content.rows.iter().map(|row| row.line).collect();
                self.journal.borrow_mut().sends(&content.key, lines)?;
                content
            }
        };
        let mut missing = content.rows.clone();
        missing.retain(|row| !self.is_answered(row.line));
        let open = self.send(&content).await?;
        let each = missing.into_iter().map(|row| self.answer(row, &open));
        each.collect::<Option<_>>().ok_or_else(|| {
            let told =
                "the API answered for fewer lines than were sent, which should not be: please report it";
            Unsound(told.to_owned()).into()
        })
    }

    async fn content<'a>(&self, rows: Vec<&'a Row>) -> Result<Content<'a>> {
        let mut submissions = Vec::with_capacity(rows.len());
        for row in &rows {
            let content = match &row.file {
                Some(path) => Some(self.of_file(row, path).await?),
                None => None,
            };
            submissions.push(row.submission(content));
        }
        let key = self.key(&rows, &submissions);
        Ok(Content {
            rows,
            submissions,
            key,
        })
    }

    async fn of_file(&self, row: &Row, path: &Path) -> Result<(&'static str, Value)> {
        let upload = self.journal.borrow().upload_of(row.line).cloned();
        if let Some(upload) = upload.filter(|upload| is_as_uploaded(row, upload)) {
            return Ok(("upload", json!(upload.id)));
        }
        let in_line = |error: anyhow::Error| match error.downcast::<Usage>() {
            Ok(error) => usage(format!("line {}: {error}", row.line)),
            Err(error) => error,
        };
        let bytes = input::read(path).map_err(in_line)?;
        let sha256 = sha256(&bytes);
        let content = input::content(self.client, row.task_type, bytes, rows::MAX_INLINE_BYTES).await;
        let (name, value) = content.map_err(in_line)?;
        if name == "upload" {
            let id = serde_json::from_value(value.clone())?;
            self.journal.borrow_mut().uploaded(row.line, id, sha256)?;
        }
        Ok((name, value))
    }

    /// Sends a request until each of its tasks is accepted or refused, and keeps that in the journal. Returns those
    /// that are not final.
    async fn send(&self, content: &Content<'_>) -> Result<HashSet<TaskId>> {
        let mut open = HashSet::new();
        let mut tries = 1;
        loop {
            let sent = self.client.submit_batch(&content.submissions, Some(&content.key));
            let answers = sent.await?;
            let (mut answered, mut busy) = (Vec::new(), None);
            for (row, answer) in content.rows.iter().zip(answers) {
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
            // What was answered once holds.
            answered.retain(|(line, _)| !self.is_answered(*line));
            self.journal.borrow_mut().answered(answered)?;
            match busy {
                None => return Ok(open),
                // Under its key, the whole request again writes only what is missing.
                Some(_) if tries < MAX_TRIES => sleep(FIRST_PAUSE * (1 << (tries - 1))).await,
                Some(problem) => return Err(Error::Problem(problem).into()),
            }
            tries += 1;
        }
    }

    /// Follows from the file, the lines and what is sent for them: the same for the same, another for anything else.
    fn key(&self, rows: &[&Row], submissions: &[Submission]) -> String {
        let body = sha256(json!(submissions).to_string().as_bytes());
        let [first, last] = [rows.first(), rows.last()].map(|row| row.map_or(0, |row| row.line));
        let journal = self.journal.borrow();
        let salt = journal.salt();
        format!("mesh-{:.16}-{salt}-{first}-{last}-{body:.32}", self.digest)
    }
}

/// Whether the file is still what was uploaded. One that can't be read any more is not said to be another.
fn is_as_uploaded(row: &Row, upload: &Upload) -> bool {
    let Some(mut file) = row.open_again() else {
        return true;
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).is_err() || sha256(&bytes) == upload.sha256
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

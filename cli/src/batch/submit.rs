//! Plans and sends a batch's requests, and stores the API's responses in the journal.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use mesh_client::{Backoff, Error, MAX_REQUEST_ATTEMPTS, Submission};
use mesh_task::{TaskId, TaskType};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::Batch;
use super::journal::{self, LineResponse, SentRequest, Upload};
use super::row::{MAX_INLINE_BYTES, Row};
use crate::exit::{InvalidResponse, Usage, usage};
use crate::input;

/// A request is full at this size. The API's limit is 6 MB.
const MAX_REQUEST_BYTES: usize = 4_000_000;
/// The pause before a request is sent again because the API was too busy for some of its tasks.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A line with the API's response.
pub(super) struct SubmittedLine {
    pub(super) line: usize,
    pub(super) task_type: TaskType,
    pub(super) response: LineResponse,
    /// This run submitted the task, and it was not final then.
    pub(super) is_open: bool,
}

/// The content of one request, and its idempotency key.
pub(super) struct Content<'a> {
    rows: Vec<&'a Row>,
    submissions: Vec<Submission>,
    key: String,
}

pub(super) enum Request<'a> {
    /// An earlier run sent it and did not get a response for all of its lines.
    Resend(Content<'a>),
    New(Vec<&'a Row>),
}

/// What is left to submit.
pub(super) struct Plan<'a> {
    pub(super) requests: Vec<Request<'a>>,
    /// How many lines were in a request that got no response and cannot be repeated. The API may already have them.
    pub(super) uncertain: usize,
}

impl Batch<'_> {
    /// Whether the API has responded for a line, so that it is not sent again.
    pub(super) fn has_response(&self, line: usize) -> bool {
        self.written.contains_key(&line) || self.journal.borrow().response(line).is_some()
    }

    /// The lines that an earlier run has submitted, but whose results it has not written.
    pub(super) fn submitted_lines(&self) -> Vec<SubmittedLine> {
        let rows = self
            .rows
            .iter()
            .filter(|row| !self.written.contains_key(&row.line));
        rows.filter_map(|row| self.submitted_line(row, &HashSet::new()))
            .collect()
    }

    fn submitted_line(&self, row: &Row, open: &HashSet<TaskId>) -> Option<SubmittedLine> {
        let response = self.journal.borrow().response(row.line).cloned()?;
        Some(SubmittedLine {
            line: row.line,
            task_type: row.task_type,
            is_open: matches!(response, LineResponse::Accepted(id) if open.contains(&id)),
            response,
        })
    }

    /// Plans the requests: first the earlier ones that lack responses, unchanged if the API remembers their keys.
    pub(super) async fn plan(&self, size: u32) -> Result<Plan<'_>> {
        let lines = self.rows.iter().map(|row| row.line);
        let mut missing: HashSet<usize> = lines.filter(|line| !self.has_response(*line)).collect();
        let mut uncertain: HashSet<usize> = HashSet::new();
        let mut requests = Vec::new();
        let sent = self.journal.borrow().sent().to_vec();
        // For a line that was in several requests, the last one counts.
        for sent in sent.iter().rev() {
            if !sent.lines.iter().any(|line| missing.contains(line)) {
                continue;
            }
            match self.rebuild(sent).await? {
                Some(content) => {
                    for line in &sent.lines {
                        missing.remove(line);
                    }
                    requests.push(Request::Resend(content));
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

    /// The content of an earlier request, if it can be rebuilt unchanged and the API remembers its key.
    async fn rebuild(&self, sent: &SentRequest) -> Result<Option<Content<'_>>> {
        if !journal::is_remembered(sent.at) {
            return Ok(None);
        }
        let row = |line: &usize| {
            let index = self.rows.binary_search_by_key(line, |row| row.line);
            index.ok().map(|index| &self.rows[index])
        };
        let Some(rows) = sent.lines.iter().map(row).collect() else {
            return Ok(None);
        };
        match self.content(rows).await {
            Ok(content) => Ok((content.key == sent.key).then_some(content)),
            // The file of a line with a response may be gone.
            Err(error) if error.is::<Usage>() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Divides the rows into requests. The division does not depend on what earlier runs did, so that every run makes
    /// the same requests, unless files are gone.
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

    /// Submits a request. Returns those of its lines that had no response before.
    pub(super) async fn submit(&self, request: Request<'_>) -> Result<Vec<SubmittedLine>> {
        let content = match request {
            Request::Resend(content) => content,
            Request::New(rows) => {
                let content = self.content(rows).await?;
                let lines = content.rows.iter().map(|row| row.line).collect();
                self.journal.borrow_mut().store_request(&content.key, lines)?;
                content
            }
        };
        let mut missing = content.rows.clone();
        missing.retain(|row| !self.has_response(row.line));
        let open = self.send(&content).await?;
        let lines = missing.into_iter().map(|row| self.submitted_line(row, &open));
        lines.collect::<Option<_>>().ok_or_else(|| {
            let message =
                "the API's response has fewer results than the request has lines: please report this bug";
            InvalidResponse(message.to_owned()).into()
        })
    }

    async fn content<'a>(&self, rows: Vec<&'a Row>) -> Result<Content<'a>> {
        let mut submissions = Vec::with_capacity(rows.len());
        for row in &rows {
            let content = match &row.file {
                Some(path) => Some(self.file_content(row, path).await?),
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

    /// The input field for a row's file. Uploads a large file, unless an earlier upload can be used.
    async fn file_content(&self, row: &Row, path: &Path) -> Result<(&'static str, Value)> {
        let upload = self.journal.borrow().upload(row.line).cloned();
        if let Some(upload) = upload.filter(|upload| is_unchanged(row, upload)) {
            return Ok(("upload", json!(upload.id)));
        }
        let with_line = |error: anyhow::Error| match error.downcast::<Usage>() {
            Ok(error) => usage(format!("line {}: {error}", row.line)),
            Err(error) => error,
        };
        let bytes = input::read(path).map_err(with_line)?;
        let sha256 = sha256(&bytes);
        let content = input::content(self.client, row.task_type, bytes, MAX_INLINE_BYTES).await;
        let (name, value) = content.map_err(with_line)?;
        if name == "upload" {
            let id = serde_json::from_value(value.clone())?;
            self.journal.borrow_mut().store_upload(row.line, id, sha256)?;
        }
        Ok((name, value))
    }

    /// Sends a request until each of its tasks is accepted or refused, and stores the responses in the journal. Returns
    /// the tasks that are not final.
    async fn send(&self, content: &Content<'_>) -> Result<HashSet<TaskId>> {
        let mut open = HashSet::new();
        let mut backoff = Backoff::new(FIRST_PAUSE);
        loop {
            let sent = self.client.submit_batch(&content.submissions, Some(&content.key));
            let results = sent.await?;
            let (mut responses, mut busy) = (Vec::new(), None);
            for (row, result) in content.rows.iter().zip(results) {
                match result {
                    Ok(accepted) => {
                        if !accepted.status.is_final() {
                            open.insert(accepted.id);
                        }
                        responses.push((row.line, LineResponse::Accepted(accepted.id)));
                    }
                    Err(Error::Problem(problem)) if matches!(problem.status, 429 | 503) => {
                        busy = Some(problem);
                    }
                    Err(Error::Problem(problem)) => {
                        responses.push((row.line, LineResponse::Refused(problem)));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            // The first response for a line counts.
            responses.retain(|(line, _)| !self.has_response(*line));
            self.journal.borrow_mut().store_responses(responses)?;
            let Some(problem) = busy else {
                return Ok(open);
            };
            // The same request under the same key only creates the tasks that are missing.
            match backoff.next_pause(MAX_REQUEST_ATTEMPTS) {
                Some(pause) => sleep(pause).await,
                None => return Err(Error::Problem(problem).into()),
            }
        }
    }

    /// The idempotency key: the same for the same batch file, lines and content, and different for anything else.
    fn key(&self, rows: &[&Row], submissions: &[Submission]) -> String {
        let body = sha256(json!(submissions).to_string().as_bytes());
        let [first, last] = [rows.first(), rows.last()].map(|row| row.map_or(0, |row| row.line));
        let journal = self.journal.borrow();
        let salt = journal.salt();
        format!("mesh-{:.16}-{salt}-{first}-{last}-{body:.32}", self.digest)
    }
}

/// Whether the row's file is still what was uploaded. A file that cannot be read counts as unchanged.
fn is_unchanged(row: &Row, upload: &Upload) -> bool {
    let Some(mut file) = row.open_again() else {
        return true;
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).is_err() || sha256(&bytes) == upload.sha256
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

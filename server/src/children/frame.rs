//! The frames that server and child exchange: a head of JSON, and the bytes of files behind it.
//!
//! ```text
//! length of the head, 4 bytes | length of the body, 8 bytes | head | body
//! ```
//!
//! Both are the same program, so a frame needs no version. Lengths are big-endian.

use std::io::{self, Read, Write};
use std::sync::Arc;

use mesh_task::{Input, RunError, RunOutput, StoredInput, Task};
use mesh_worker::Job;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt};

const PREFIX_BYTES: usize = 12;

/// What a child is told. The jobs' files are in the body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Run(Vec<JobHead>),
    Stop,
}

#[derive(Debug, Serialize, Deserialize)]
struct JobHead {
    task: Task,
    input: InputHead,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InputHead {
    Inline(Value),
    /// The content is the next part of the body.
    File {
        parameters: Map<String, Value>,
        content_type: String,
        bytes: usize,
    },
}

/// What a child answers. Answers have no body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The model is loaded.
    Ready,
    /// The model can't be loaded; the child ends.
    NotLoaded(String),
    /// The jobs' outcomes, in order.
    Ended(Vec<Result<RunOutput, RunError>>),
}

/// What a child reads.
#[derive(Debug)]
pub(super) enum Received {
    Run(Vec<Job>),
    Stop,
}

/// The frame that tells a child to run jobs.
pub(super) fn run(jobs: &[Job]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut head = |job: &Job| {
        let input = match Input::clone(&job.input).into_stored() {
            StoredInput::Inline(input) => InputHead::Inline(input),
            StoredInput::Object {
                body: content,
                content_type,
                parameters,
            } => {
                body.extend_from_slice(&content);
                InputHead::File {
                    parameters,
                    content_type: content_type.to_owned(),
                    bytes: content.len(),
                }
            }
        };
        JobHead {
            task: job.task.clone(),
            input,
        }
    };
    let heads = jobs.iter().map(&mut head).collect();
    encode(&Order::Run(heads), &body)
}

/// The frame that tells a child to stop what it runs.
pub(super) fn stop() -> io::Result<Vec<u8>> {
    encode(&Order::Stop, &[])
}

fn encode(head: &impl Serialize, body: &[u8]) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(head)?;
    let head_bytes = u32::try_from(head.len()).map_err(io::Error::other)?;
    let body_bytes = u64::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(PREFIX_BYTES + head.len() + body.len());
    frame.extend_from_slice(&head_bytes.to_be_bytes());
    frame.extend_from_slice(&body_bytes.to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(body);
    Ok(frame)
}

/// The lengths of head and body.
fn lengths(prefix: [u8; PREFIX_BYTES]) -> io::Result<(usize, usize)> {
    let [a, b, c, d, body @ ..] = prefix;
    let head = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(io::Error::other)?;
    let body = usize::try_from(u64::from_be_bytes(body)).map_err(io::Error::other)?;
    Ok((head, body))
}

/// Reads what the server tells a child.
pub(super) fn receive(from: &mut impl Read) -> io::Result<Received> {
    let mut prefix = [0; PREFIX_BYTES];
    from.read_exact(&mut prefix)?;
    let (head, body) = lengths(prefix)?;
    let mut frame = vec![0; head + body];
    from.read_exact(&mut frame)?;
    let (head, body) = frame.split_at(head);
    match serde_json::from_slice(head)? {
        Order::Run(heads) => jobs(heads, body).map(Received::Run),
        Order::Stop => Ok(Received::Stop),
    }
}

fn jobs(heads: Vec<JobHead>, mut body: &[u8]) -> io::Result<Vec<Job>> {
    let job = |JobHead { task, input }| {
        let input = match input {
            InputHead::Inline(input) => Input::from_inline(task.task_type, input),
            InputHead::File {
                parameters,
                content_type,
                bytes,
            } => {
                let (content, rest) = body.split_at_checked(bytes).ok_or(io::ErrorKind::InvalidData)?;
                body = rest;
                Input::from_object(task.task_type, parameters, &content_type, content.to_vec())
            }
        };
        Ok(Job {
            task,
            input: Arc::new(input.map_err(io::Error::other)?),
        })
    };
    heads.into_iter().map(job).collect()
}

/// Writes a child's answer.
pub(super) fn answer(to: &mut impl Write, answer: &Answer) -> io::Result<()> {
    to.write_all(&encode(answer, &[])?)
}

/// Reads a child's answer.
pub(super) async fn read_answer(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    async fn parse<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
        let mut prefix = [0; PREFIX_BYTES];
        from.read_exact(&mut prefix).await?;
        let (head, body) = lengths(prefix)?;
        let mut frame = vec![0; head + body];
        from.read_exact(&mut frame).await?;
        Ok(serde_json::from_slice(&frame)?)
    }
    parse(from).await
}

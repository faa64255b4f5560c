//! A submission made of flags and a file.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_client::{Client, Submission};
use mesh_task::{MAX_TEXT_BYTES, TaskType, WorkerKind};
use serde_json::{Map, Value, json};

use crate::args::{FieldArgs, LimitArgs, SubmitArgs};
use crate::exit::usage;

/// What rides along as base64; more would come near a request's 6 MB.
const MAX_INLINE_BYTES: usize = 4_000_000;
/// The byte order mark, which some programs write in front of UTF-8.
pub(crate) const MARK: &str = "\u{feff}";

/// The submission that the flags describe. What is large is uploaded on the way.
pub(crate) async fn submission(client: &Client, args: &SubmitArgs) -> Result<Submission> {
    let mut input = fields(&args.fields)?;
    let (name, value) = match (&args.file, args.stdin.is_some(), &args.text[..]) {
        (Some(path), ..) => content(client, args.task_type, read(path)?, MAX_INLINE_BYTES).await?,
        (None, true, _) => content(client, args.task_type, read(Path::new("-"))?, MAX_INLINE_BYTES).await?,
        (None, false, []) => {
            return Err(usage(
                "there is nothing to submit: give --text, --file, or - to read it from standard input",
            ));
        }
        (None, false, [text]) => ("text", json!(text)),
        (None, false, texts) if args.task_type == TaskType::Embed => ("texts", json!(texts)),
        _ => {
            return Err(usage(format!(
                "{} takes one --text: mesh batch submits many tasks",
                args.task_type
            )));
        }
    };
    input.insert(name.to_owned(), value);
    Ok(limited(Submission::raw(args.task_type, input), &args.limits))
}

fn fields(args: &FieldArgs) -> Result<Map<String, Value>> {
    let mut input = Map::new();
    let mut field = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            input.insert(name.to_owned(), value);
        }
    };
    field("labels", (!args.labels.is_empty()).then(|| json!(args.labels)));
    field("multi_label", args.multi_label.then_some(Value::Bool(true)));
    field("max_sentences", args.max_sentences.map(Value::from));
    field("ratio", args.ratio.map(Value::from));
    field("target_language", args.target_language.clone().map(Value::from));
    field("engine", args.engine.clone().map(Value::from));
    field("schema", args.schema.as_deref().map(schema).transpose()?);
    Ok(input)
}

fn limited(mut submission: Submission, limits: &LimitArgs) -> Submission {
    for (key, value) in &limits.metadata {
        submission = submission.note(key, value);
    }
    if let Some(priority) = limits.priority {
        submission = submission.priority(priority);
    }
    if let Some(most) = limits.max_attempts {
        submission = submission.max_attempts(most);
    }
    if let Some(seconds) = limits.timeout_seconds {
        submission = submission.timeout_seconds(seconds);
    }
    submission
}

/// A schema, or the file that holds one.
fn schema(given: &str) -> Result<Value> {
    let (text, place) = if given.trim_start().starts_with('{') {
        (given.to_owned(), "--schema")
    } else {
        let text = fs::read_to_string(given);
        (
            text.map_err(|error| usage(format!("{given} can't be read: {error}")))?,
            given,
        )
    };
    serde_json::from_str(&text).map_err(|error| usage(format!("{place} is no JSON: {error}")))
}

/// A file's bytes, or those of standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        if io::stdin().is_terminal() {
            let _ = writeln!(
                io::stderr(),
                "reading what is typed; Ctrl-D on a line of its own ends it"
            );
        }
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| usage(format!("{} can't be read: {error}", path.display())))
}

/// The input's field for a file of that type of task: its text, its base64 if that is small enough, or its upload.
pub(crate) async fn content(
    client: &Client,
    task_type: TaskType,
    bytes: Vec<u8>,
    max_inline: usize,
) -> Result<(&'static str, Value)> {
    let name = match task_type.default_worker() {
        WorkerKind::Image => "image",
        WorkerKind::Audio => "audio",
        WorkerKind::Text | WorkerKind::Language => return Ok(("text", Value::from(text(task_type, bytes)?))),
    };
    if bytes.len() <= max_inline {
        return Ok((name, Value::from(STANDARD.encode(bytes))));
    }
    let media_type = match name {
        "image" => image::guess_format(&bytes).map_or("image/unknown", |format| format.to_mime_type()),
        // The API looks for itself: this is what the storage calls it.
        _ => "audio/unknown",
    };
    let upload = client.upload(media_type, bytes).await?;
    Ok(("upload", json!(upload)))
}

/// A file's bytes as a text that the API takes.
pub(crate) fn text(task_type: TaskType, bytes: Vec<u8>) -> Result<String> {
    let mut text = String::from_utf8(bytes)
        .map_err(|_| usage(format!("{task_type} takes a text, and this is no UTF-8")))?;
    if text.starts_with(MARK) {
        text.drain(..MARK.len());
    }
    check_text_length(text.len())?;
    Ok(text)
}

/// Refuses a text that the API would: far above its limit, no request gets as far as the API, which could say so.
pub(crate) fn check_text_length(bytes: usize) -> Result<()> {
    if bytes > MAX_TEXT_BYTES {
        return Err(usage(format!(
            "a text of {bytes} bytes is too long: send at most {MAX_TEXT_BYTES}, or split it into several tasks"
        )));
    }
    Ok(())
}

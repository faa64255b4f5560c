//! Makes a submission from flags, files and standard input.

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

/// A larger file is uploaded. As base64 it would come near the limit of 6 MB for a request.
const MAX_INLINE_BYTES: usize = 4_000_000;
/// Some programs write it before UTF-8.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The submission that the flags describe. Uploads a large image or audio file.
pub(crate) async fn submission(client: &Client, args: &SubmitArgs) -> Result<Submission> {
    let mut input = fields(&args.fields)?;
    let (name, value) = match (&args.file, args.stdin.is_some(), &args.text[..]) {
        (Some(path), ..) => content(client, args.task_type, read(path)?, MAX_INLINE_BYTES).await?,
        (None, true, _) => content(client, args.task_type, read(Path::new("-"))?, MAX_INLINE_BYTES).await?,
        (None, false, []) => {
            return Err(usage(
                "there is nothing to submit: give --text, --file, or - for standard input",
            ));
        }
        (None, false, [text]) => ("text", json!(text)),
        (None, false, texts) if args.task_type == TaskType::Embed => ("texts", json!(texts)),
        _ => {
            return Err(usage(format!(
                "{} takes one --text: use mesh batch to submit several tasks",
                args.task_type
            )));
        }
    };
    input.insert(name.to_owned(), value);
    Ok(with_limits(Submission::raw(args.task_type, input), &args.limits))
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

fn with_limits(mut submission: Submission, limits: &LimitArgs) -> Submission {
    for (key, value) in &limits.metadata {
        submission = submission.metadata(key, value);
    }
    if let Some(priority) = limits.priority {
        submission = submission.priority(priority);
    }
    if let Some(max_attempts) = limits.max_attempts {
        submission = submission.max_attempts(max_attempts);
    }
    if let Some(seconds) = limits.timeout_seconds {
        submission = submission.timeout_seconds(seconds);
    }
    submission
}

/// The JSON of `--schema`, or of the file that it names.
fn schema(given: &str) -> Result<Value> {
    let text = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else {
        let text = fs::read_to_string(given);
        text.map_err(|error| usage(format!("--schema: cannot read {given}: {error}")))?
    };
    serde_json::from_str(&text).map_err(|error| usage(format!("--schema is not valid JSON: {error}")))
}

/// The bytes of a file, or of standard input for the path `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        if io::stdin().is_terminal() {
            let _ = writeln!(
                io::stderr(),
                "reading from the terminal; press Ctrl-D on an empty line to end"
            );
        }
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| usage(format!("cannot read {}: {error}", path.display())))
}

/// The input field for a file's content, by the task type: its text, its base64, or the upload of a file that is larger
/// than `max_inline`.
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
        // The API detects the format itself; this only labels the stored object.
        _ => "audio/unknown",
    };
    let upload = client.upload(media_type, bytes).await?;
    Ok(("upload", json!(upload)))
}

/// Checks that the bytes are a text that the API accepts.
pub(crate) fn text(task_type: TaskType, bytes: Vec<u8>) -> Result<String> {
    let mut text = String::from_utf8(bytes).map_err(|_| {
        usage(format!(
            "{task_type} takes a text, and this is not UTF-8: convert it"
        ))
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    check_text_length(text.len())?;
    Ok(text)
}

/// Refuses a text above the API's limit. The gateway refuses a much longer one before the API can explain it.
pub(crate) fn check_text_length(bytes: usize) -> Result<()> {
    if bytes > MAX_TEXT_BYTES {
        return Err(usage(format!(
            "a text of {bytes} bytes is too long: send at most {MAX_TEXT_BYTES}, or split it into several tasks"
        )));
    }
    Ok(())
}

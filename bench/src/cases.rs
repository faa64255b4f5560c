//! What is measured of each function: its cold start with the smallest of its work, and its memory with the largest.

use std::io::Cursor;

use anyhow::{Context, Result, bail};
use image::imageops::FilterType;
use image::{ImageFormat, RgbImage};
use mesh_task::{
    Input, ObjectRef, Payload, Size, StoredInput, Submitted, Task, TaskDraft, TaskId, TaskType, Tenant,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::Args;

pub(crate) const TEXT: &str = "What a delightful little machine.";
/// Sides of the largest picture that is taken, in pixels.
const LARGEST: (u32, u32) = (8_660, 5_773);
/// The sample rate of the recordings, in Hz.
const RATE: usize = 16_000;

/// A process that is started, and what it is given.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Its folder among the artifacts.
    pub(crate) function: &'static str,
    /// Without one, the process is measured to its first `next`.
    pub(crate) work: Option<Work>,
    /// `SPEECH_MODEL`
    pub(crate) speech_model: &'static str,
}

/// A task, and its object's body if it has one.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) task: Task,
    pub(crate) object: Vec<u8>,
}

impl Case {
    fn started(name: &'static str, function: &'static str) -> Self {
        Self {
            name,
            function,
            work: None,
            speech_model: "base",
        }
    }

    fn worked(name: &'static str, function: &'static str, work: Work) -> Self {
        Self {
            work: Some(work),
            ..Self::started(name, function)
        }
    }
}

/// Each function's first work, its models loaded for it.
pub(crate) fn first(args: &Args) -> Result<Vec<Case>> {
    let face = media(TaskType::FaceDetection, &args.testdata("astronaut.png")?)?;
    let page = media(TaskType::Ocr, &args.testdata("page.png")?)?;
    let speech = media(TaskType::Transcribe, &args.testdata("beckett.wav")?)?;
    let text = |task_type| submitted(task_type, json!({ "text": TEXT }));
    Ok(vec![
        Case::started("api: to its first next", "ApiFunction"),
        Case::started("janitor: to its first next", "JanitorFunction"),
        Case::started("reactor: to its first next", "ReactorFunction"),
        Case::started("event-stream: to its first next", "EventStreamFunction"),
        Case::started("language-worker: to its first next", "LanguageWorkerFunction"),
        Case::worked(
            "text-worker: sentiment",
            "TextWorkerFunction",
            text(TaskType::Sentiment)?,
        ),
        Case::worked("text-worker: embed", "TextWorkerFunction", text(TaskType::Embed)?),
        Case::worked("image-worker: face_detection", "ImageWorkerFunction", face),
        Case::worked("image-worker: ocr", "ImageWorkerFunction", page),
        Case::worked(
            "audio-worker: transcribe, base",
            "AudioWorkerFunction",
            speech.clone(),
        ),
        Case {
            speech_model: "tiny.en",
            ..Case::worked("audio-worker: transcribe, tiny.en", "AudioWorkerFunction", speech)
        },
    ])
}

/// The most that each worker may be given at once: what its memory must do for.
pub(crate) fn largest(args: &Args) -> Result<Vec<Case>> {
    let words = |bytes: usize| "The parcel came late, and the box was torn. ".repeat(bytes / 44);
    let texts: Vec<_> = (0..64).map(|_| words(15_000)).collect();
    let photograph = largest_picture(&args.testdata("astronaut.png")?)?;
    let page = largest_picture(&args.testdata("page.png")?)?;
    let recording = half_hour(&args.testdata("beckett.wav")?)?;
    Ok(vec![
        Case::worked(
            "text-worker: summarize, 1 MB",
            "TextWorkerFunction",
            submitted(TaskType::Summarize, json!({ "text": words(990_000) }))?,
        ),
        Case::worked(
            "text-worker: embed, 64 texts of 15 kB",
            "TextWorkerFunction",
            submitted(TaskType::Embed, json!({ "texts": texts }))?,
        ),
        Case::worked(
            "image-worker: face_detection, 50 megapixels",
            "ImageWorkerFunction",
            media(TaskType::FaceDetection, &photograph)?,
        ),
        Case::worked(
            "image-worker: ocr, 50 megapixels",
            "ImageWorkerFunction",
            media(TaskType::Ocr, &page)?,
        ),
        Case::worked(
            "audio-worker: base, 26 minutes, 50 MB",
            "AudioWorkerFunction",
            media(TaskType::Transcribe, &recording)?,
        ),
    ])
}

/// An input as the API takes it, stored as the API stores it.
fn submitted(task_type: TaskType, input: Value) -> Result<Work> {
    match Submitted::parse(task_type, input)? {
        Submitted::Whole(input) => Ok(work(task_type, input)),
        Submitted::Uploaded(_) => bail!("the input names an upload"),
    }
}

/// A file as it is uploaded.
fn media(task_type: TaskType, file: &[u8]) -> Result<Work> {
    let input = Input::from_object(task_type, Map::new(), "application/octet-stream", file.to_vec())?;
    Ok(work(task_type, input))
}

fn work(task_type: TaskType, input: Input) -> Work {
    let worker_kind = input.parameters.worker_kind();
    let (payload, object) = match input.into_stored() {
        StoredInput::Inline(value) => (Payload::Inline(value), Vec::new()),
        StoredInput::Object {
            body,
            content_type,
            parameters,
        } => (
            Payload::Object {
                object: ObjectRef {
                    key: "bench".to_owned(),
                    etag: "\"bench\"".to_owned(),
                    sha256: hex::encode(Sha256::digest(&body)),
                    bytes: body.len() as u64,
                    content_type: content_type.to_owned(),
                },
                parameters,
            },
            body,
        ),
    };
    let now = jiff::Timestamp::now();
    let draft = TaskDraft {
        id: TaskId::generate(),
        tenant: Tenant::first(),
        task_type,
        worker_kind,
        size: Size::Small,
        priority: mesh_task::Priority::Normal,
        payload,
        metadata: [].into(),
        max_attempts: 3,
        timeout_seconds: None,
        correlation_id: String::new(),
    };
    Work {
        task: Task::new(draft, now, now),
        object,
    }
}

/// A picture tiled to the largest size, as a JPEG: the largest of photographs are.
fn largest_picture(file: &[u8]) -> Result<Vec<u8>> {
    let (width, height) = LARGEST;
    let tile = image::load_from_memory(file)?
        .resize(width / 4, height / 4, FilterType::Triangle)
        .into_rgb8();
    let mut picture = RgbImage::new(width, height);
    for x in (0..width).step_by(tile.width() as usize) {
        for y in (0..height).step_by(tile.height() as usize) {
            image::imageops::replace(&mut picture, &tile, x.into(), y.into());
        }
    }
    let mut jpeg = Cursor::new(Vec::new());
    picture.write_to(&mut jpeg, ImageFormat::Jpeg)?;
    Ok(jpeg.into_inner())
}

/// The recording once, and silence up to the largest file: what is not spoken is skipped, but is decoded like speech.
fn half_hour(file: &[u8]) -> Result<Vec<u8>> {
    const HEAD: usize = 44;
    let speech = file.get(HEAD..).context("the recording has no head")?;
    let bytes = mesh_task::MAX_MEDIA_BYTES - HEAD;
    let mut wav = Vec::with_capacity(bytes + HEAD);
    let length = u32::try_from(bytes)?;
    wav.extend(b"RIFF");
    wav.extend((length + 36).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend([1, 0, 1, 0]);
    wav.extend(u32::try_from(RATE)?.to_le_bytes());
    wav.extend(u32::try_from(2 * RATE)?.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(length.to_le_bytes());
    wav.extend(speech);
    wav.resize(bytes + HEAD, 0);
    Ok(wav)
}

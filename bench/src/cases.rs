//! The measured cases: each function's cold start with a small task, and each worker's memory with the largest tasks.

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
/// The sides of the largest accepted picture, in pixels.
const LARGEST_PICTURE: (u32, u32) = (8_660, 5_773);
/// The sample rate of the recordings, in Hz.
const SAMPLE_RATE: usize = 16_000;

/// A function and the task that it gets.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The function's folder in the artifacts.
    pub(crate) function: &'static str,
    /// Without work, the measurement ends with the first call of `next`.
    pub(crate) work: Option<Work>,
    /// The value of `SPEECH_MODEL`.
    pub(crate) speech_model: &'static str,
}

/// A task, and the body of its object. The body is empty if the input is inline.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) task: Task,
    pub(crate) object: Vec<u8>,
}

impl Case {
    fn start_only(name: &'static str, function: &'static str) -> Self {
        Self {
            name,
            function,
            work: None,
            speech_model: "base",
        }
    }

    fn first_task(name: &'static str, function: &'static str, work: Work) -> Self {
        Self {
            work: Some(work),
            ..Self::start_only(name, function)
        }
    }
}

/// Each function's start and first task, which loads the models.
pub(crate) fn cold_starts(args: &Args) -> Result<Vec<Case>> {
    let face = file_task(TaskType::FaceDetection, &args.testdata("astronaut.png")?)?;
    let page = file_task(TaskType::Ocr, &args.testdata("page.png")?)?;
    let speech = file_task(TaskType::Transcribe, &args.testdata("beckett.wav")?)?;
    let text_task = |task_type| json_task(task_type, json!({ "text": TEXT }));
    Ok(vec![
        Case::start_only("api: to its first next", "ApiFunction"),
        Case::start_only("sweeper: to its first next", "JanitorFunction"),
        Case::start_only("reactor: to its first next", "ReactorFunction"),
        Case::start_only("event-stream: to its first next", "EventStreamFunction"),
        Case::start_only("language-worker: to its first next", "LanguageWorkerFunction"),
        Case::first_task(
            "text-worker: sentiment",
            "TextWorkerFunction",
            text_task(TaskType::Sentiment)?,
        ),
        Case::first_task(
            "text-worker: embed",
            "TextWorkerFunction",
            text_task(TaskType::Embed)?,
        ),
        Case::first_task("image-worker: face_detection", "ImageWorkerFunction", face),
        Case::first_task("image-worker: ocr", "ImageWorkerFunction", page),
        Case::first_task(
            "audio-worker: transcribe, base",
            "AudioWorkerFunction",
            speech.clone(),
        ),
        Case {
            speech_model: "tiny.en",
            ..Case::first_task("audio-worker: transcribe, tiny.en", "AudioWorkerFunction", speech)
        },
    ])
}

/// The largest tasks that each worker may get. Its memory must suffice for them.
pub(crate) fn largest_tasks(args: &Args) -> Result<Vec<Case>> {
    let text = |bytes: usize| "The parcel came late, and the box was torn. ".repeat(bytes / 44);
    let texts: Vec<_> = (0..64).map(|_| text(15_000)).collect();
    let photograph = largest_picture(&args.testdata("astronaut.png")?)?;
    let page = largest_picture(&args.testdata("page.png")?)?;
    let recording = longest_recording(&args.testdata("beckett.wav")?)?;
    Ok(vec![
        Case::first_task(
            "text-worker: summarize, 1 MB",
            "TextWorkerFunction",
            json_task(TaskType::Summarize, json!({ "text": text(990_000) }))?,
        ),
        Case::first_task(
            "text-worker: embed, 64 texts of 15 kB",
            "TextWorkerFunction",
            json_task(TaskType::Embed, json!({ "texts": texts }))?,
        ),
        Case::first_task(
            "image-worker: face_detection, 50 megapixels",
            "ImageWorkerFunction",
            file_task(TaskType::FaceDetection, &photograph)?,
        ),
        Case::first_task(
            "image-worker: ocr, 50 megapixels",
            "ImageWorkerFunction",
            file_task(TaskType::Ocr, &page)?,
        ),
        Case::first_task(
            "audio-worker: base, 26 minutes, 50 MB",
            "AudioWorkerFunction",
            file_task(TaskType::Transcribe, &recording)?,
        ),
    ])
}

/// A task with a JSON input, stored as the API stores it.
fn json_task(task_type: TaskType, input: Value) -> Result<Work> {
    match Submitted::parse(task_type, input)? {
        Submitted::Whole(input) => Ok(work(task_type, input)),
        Submitted::Uploaded(_) => bail!("the input refers to an upload"),
    }
}

/// A task with an uploaded file.
fn file_task(task_type: TaskType, file: &[u8]) -> Result<Work> {
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

/// A JPEG of the largest size, tiled from a picture.
fn largest_picture(file: &[u8]) -> Result<Vec<u8>> {
    let (width, height) = LARGEST_PICTURE;
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

/// The recording, followed by silence up to the maximum file size. Silence is decoded like speech, but not
/// transcribed.
fn longest_recording(file: &[u8]) -> Result<Vec<u8>> {
    const HEADER_BYTES: usize = 44;
    let speech = file
        .get(HEADER_BYTES..)
        .context("the recording is shorter than a WAV header")?;
    let bytes = mesh_task::MAX_MEDIA_BYTES - HEADER_BYTES;
    let mut wav = Vec::with_capacity(bytes + HEADER_BYTES);
    let length = u32::try_from(bytes)?;
    wav.extend(b"RIFF");
    wav.extend((length + 36).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend([1, 0, 1, 0]);
    wav.extend(u32::try_from(SAMPLE_RATE)?.to_le_bytes());
    wav.extend(u32::try_from(2 * SAMPLE_RATE)?.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(length.to_le_bytes());
    wav.extend(speech);
    wav.resize(bytes + HEADER_BYTES, 0);
    Ok(wav)
}

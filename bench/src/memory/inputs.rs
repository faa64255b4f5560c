//! The largest input of each task type, request and event that the functions accept, in the shapes that take most memory.

use anyhow::Result;
use image::ImageFormat;
use mesh_task::{Attempt, Embeddings, Status, Task, TaskId, TaskResult, TaskType};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{pictures, recordings, requests};
use crate::Args;
use crate::cases::Case;
use crate::function::HOST;
use crate::host::{Scenario, item};
use crate::tasks::{Work, file_task, json_task};

/// How many messages a small queue delivers at once.
const BATCH: usize = 10;
/// The largest file of a small task, in bytes.
const MAX_SMALL_BYTES: usize = 1_000_000;
/// The largest small text, in bytes.
const MAX_SMALL_TEXT: usize = 10_000;
/// The longest side of a small image, in pixels.
const MAX_SMALL_SIDE: u32 = 1_000;
/// A page of DynamoDB, in bytes.
const PAGE_BYTES: usize = 1_000_000;
/// Lambda's limit for an event, in bytes.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;
/// The items in an index page of the smallest tasks.
const SMALL_TASKS: usize = 1_500;

/// A case before its input is made: inputs of 50 MB are made one after the other.
struct Entry {
    name: &'static str,
    function: &'static str,
    /// A status code of the same class as that of the response to a request.
    status: Option<u64>,
    make: fn(&Args) -> Result<Scenario>,
}

const API: &str = "ApiFunction";
const TEXT: &str = "TextWorkerFunction";
const IMAGE: &str = "ImageWorkerFunction";
const AUDIO: &str = "AudioWorkerFunction";
const LANGUAGE: &str = "LanguageWorkerFunction";

#[rustfmt::skip]
const ENTRIES: &[Entry] = &[
    Entry { name: "api: an image of 4.5 MB in base64", function: API, status: Some(202), make: |_| Ok(request(image_request())) },
    Entry { name: "api: a batch of 1,000 texts, 6 MB", function: API, status: Some(202), make: |_| Ok(request(batch_request())) },
    Entry { name: "api: a batch of 280 schemas", function: API, status: Some(202), make: |_| Ok(request(schemas_request())) },
    Entry { name: "api: 4.5 MB of objects", function: API, status: Some(422), make: |_| Ok(nested("/v1/tasks", "[", r#"{"":0}"#, "]")) },
    Entry { name: "api: 4.5 MB of empty arrays", function: API, status: Some(422), make: |_| Ok(nested("/v1/tasks", "[", "[]", "]")) },
    Entry { name: "api: a batch of 600,000 objects", function: API, status: Some(422), make: |_| Ok(nested("/v1/tasks/batch", r#"{"tasks":["#, r#"{"":0}"#, "]}")) },
    Entry { name: "api: a schema of 4.5 MB", function: API, status: Some(422), make: |_| Ok(nested("/v1/tasks", r#"{"type":"data_extraction","input":{"text":"a","schema":{"":["#, r#"{"":0}"#, "]}}}")) },
    Entry { name: "api: a list of 200 tasks", function: API, status: Some(200), make: |_| Ok(Scenario { stored: full_page(), ..request(requests::get("/v1/tasks", "limit=200")) }) },
    Entry { name: "text-worker: summarize, 1 MB", function: TEXT, status: None, make: |_| one(json_task(TaskType::Summarize, json!({ "text": text(990_000) }))) },
    Entry { name: "text-worker: classify, 1 MB, 100 labels", function: TEXT, status: None, make: |_| one(json_task(TaskType::Classify, json!({ "text": text(990_000), "labels": labels(), "multi_label": true }))) },
    Entry { name: "text-worker: embed, 64 texts of 15 kB", function: TEXT, status: None, make: |_| one(json_task(TaskType::Embed, json!({ "texts": vec![text(15_000); 64] }))) },
    Entry { name: "text-worker: ten embed, 64 texts, 10 kB", function: TEXT, status: None, make: |_| ten(json_task(TaskType::Embed, json!({ "texts": vec![long_words(3, 150); 64] }))) },
    Entry { name: "text-worker: ten classify, 10 kB, 100 labels", function: TEXT, status: None, make: |_| ten(json_task(TaskType::Classify, json!({ "text": long_words(200, MAX_SMALL_TEXT), "labels": labels() }))) },
    Entry { name: "text-worker: ten summarize, 10 kB", function: TEXT, status: None, make: |_| ten(json_task(TaskType::Summarize, json!({ "text": long_words(200, MAX_SMALL_TEXT) }))) },
    Entry { name: "text-worker: ten sentiment, 10 kB", function: TEXT, status: None, make: |_| ten(json_task(TaskType::Sentiment, json!({ "text": long_words(200, MAX_SMALL_TEXT) }))) },
    Entry { name: "image-worker: faces, JPEG, 50 megapixels", function: IMAGE, status: None, make: |args| faces(pictures::tiled(&args.testdata("astronaut.png")?, ImageFormat::Jpeg)?) },
    Entry { name: "image-worker: ocr, JPEG, 50 megapixels", function: IMAGE, status: None, make: |args| ocr(pictures::tiled(&args.testdata("page.png")?, ImageFormat::Jpeg)?) },
    Entry { name: "image-worker: faces, progressive JPEG", function: IMAGE, status: None, make: |_| faces(pictures::progressive_jpeg(3)) },
    Entry { name: "image-worker: faces, progressive JPEG, CMYK", function: IMAGE, status: None, make: |_| faces(pictures::progressive_jpeg(4)) },
    Entry { name: "image-worker: ocr, progressive JPEG, CMYK", function: IMAGE, status: None, make: |_| ocr(pictures::progressive_jpeg(4)) },
    Entry { name: "image-worker: faces, transparent PNG", function: IMAGE, status: None, make: |_| faces(pictures::transparent(ImageFormat::Png)?) },
    Entry { name: "image-worker: ocr, transparent PNG", function: IMAGE, status: None, make: |_| ocr(pictures::transparent(ImageFormat::Png)?) },
    Entry { name: "image-worker: faces, transparent WebP", function: IMAGE, status: None, make: |_| faces(pictures::transparent(ImageFormat::WebP)?) },
    Entry { name: "image-worker: ocr, transparent WebP", function: IMAGE, status: None, make: |_| ocr(pictures::transparent(ImageFormat::WebP)?) },
    Entry { name: "image-worker: faces, GIF", function: IMAGE, status: None, make: |_| faces(pictures::gif()) },
    Entry { name: "image-worker: ocr, bitmap", function: IMAGE, status: None, make: |_| ocr(pictures::bitmap()) },
    Entry { name: "image-worker: faces, animated WebP", function: IMAGE, status: None, make: |_| faces(pictures::animated_webp()?) },
    Entry { name: "image-worker: ocr, animated WebP", function: IMAGE, status: None, make: |_| ocr(pictures::animated_webp()?) },
    Entry { name: "image-worker: faces, animated WebP, many codes", function: IMAGE, status: None, make: |_| faces(pictures::webp_of_codes()) },
    Entry { name: "image-worker: ocr, animated WebP, many codes", function: IMAGE, status: None, make: |_| ocr(pictures::webp_of_codes()) },
    Entry { name: "image-worker: one after the other, all formats", function: IMAGE, status: None, make: each_format },
    Entry { name: "image-worker: ten faces, 1 MB", function: IMAGE, status: None, make: |_| ten(file_task(TaskType::FaceDetection, &small_picture()?)) },
    Entry { name: "image-worker: ten ocr, 1 MB", function: IMAGE, status: None, make: |_| ten(file_task(TaskType::Ocr, &small_picture()?)) },
    Entry { name: "audio-worker: WAV, 30 minutes, 50 MB", function: AUDIO, status: None, make: |args| recording(&recordings::wav(&args.testdata("beckett.wav")?)?) },
    Entry { name: "audio-worker: FLAC, 30 minutes, 8 channels", function: AUDIO, status: None, make: |_| recording(&recordings::flac()) },
    Entry { name: "audio-worker: MP3, 30 minutes, 43 MB", function: AUDIO, status: None, make: |_| recording(&recordings::mp3()) },
    Entry { name: "language-worker: ten translate, answers of 2 MB", function: LANGUAGE, status: None, make: |_| Ok(Scenario { completion: json!({ "translation": text(2_000_000) }).to_string(), ..ten(json_task(TaskType::Translate, json!({ "text": long_words(200, MAX_SMALL_TEXT), "target_language": "de" })))? }) },
    Entry { name: "language-worker: ten data_extraction, branches of many values", function: LANGUAGE, status: None, make: |_| Ok(Scenario { completion: "{}".to_owned(), ..ten(json_task(TaskType::DataExtraction, json!({ "text": "a", "schema": branches() })))? }) },
    Entry { name: "language-worker: ten data_extraction, 16 kB schemas", function: LANGUAGE, status: None, make: |_| Ok(Scenario { completion: "{}".to_owned(), ..ten(json_task(TaskType::DataExtraction, json!({ "text": long_words(200, 7_000), "schema": schema() })))? }) },
    Entry { name: "reactor: a batch of 6 MB", function: "ReactorFunction", status: None, make: |_| Ok(event(stream_batch(&completed_task()))) },
    Entry { name: "reactor: a batch of 6 MB of empty objects", function: "ReactorFunction", status: None, make: |_| Ok(event(stream_batch(&empty_objects_task()?))) },
    Entry { name: "reactor: a rebuild", function: "ReactorFunction", status: None, make: |_| Ok(Scenario { stored: vec![small_task(); SMALL_TASKS], ..event(json!({ "rebuild": true })) }) },
    Entry { name: "sweeper: a full page of due tasks", function: "JanitorFunction", status: None, make: |_| Ok(Scenario { stored: full_page(), ..event(json!({})) }) },
    Entry { name: "event-stream: a completed task", function: "EventStreamFunction", status: Some(200), make: |_| Ok(Scenario { stored: vec![completed_task()], ..request(requests::get(&format!("/v1/tasks/{}/events", TaskId::generate()), "")) }) },
];

/// Each case with `only` in its name, or all of them.
pub(super) fn cases(args: &Args, only: Option<&str>) -> impl Iterator<Item = Result<Case>> {
    let wanted = move |entry: &&Entry| only.is_none_or(|only| entry.name.contains(only));
    ENTRIES.iter().filter(wanted).map(|entry| {
        let mut case = Case::new(entry.name, entry.function, (entry.make)(args)?);
        case.status = entry.status;
        let token = hex::encode(Sha256::digest(requests::TOKEN));
        Ok(match entry.function {
            LANGUAGE => case
                .with("LANGUAGE_PROVIDER", "openai")
                .with("LANGUAGE_MODEL", "scripted")
                .with("LANGUAGE_BASE_URL", &format!("http://{HOST}/v1")),
            API | "EventStreamFunction" => case.with("TOKEN_SHA256", &token),
            _ => case,
        })
    })
}

fn event(payload: Value) -> Scenario {
    Scenario {
        payloads: vec![payload],
        ..Scenario::default()
    }
}

fn request(payload: Value) -> Scenario {
    event(payload)
}

fn nested(path: &str, start: &str, part: &str, end: &str) -> Scenario {
    request(requests::repeated(path, start, part, end))
}

fn one(work: Result<Work>) -> Result<Scenario> {
    Ok(Scenario::batch(vec![work?]))
}

/// A full batch of the small queue, of the same input.
fn ten(work: Result<Work>) -> Result<Scenario> {
    let work = work?;
    Ok(Scenario::batch((0..BATCH).map(|_| work.copy()).collect()))
}

fn faces(file: Vec<u8>) -> Result<Scenario> {
    one(file_task(TaskType::FaceDetection, &pictures::padded(file)))
}

fn ocr(file: Vec<u8>) -> Result<Scenario> {
    one(file_task(TaskType::Ocr, &pictures::padded(file)))
}

/// The largest files in one environment, which keeps what its libraries do not free.
fn each_format(args: &Args) -> Result<Scenario> {
    let files = [
        pictures::tiled(&args.testdata("page.png")?, ImageFormat::Jpeg)?,
        pictures::progressive_jpeg(4),
        pictures::transparent(ImageFormat::Png)?,
        pictures::animated_webp()?,
        pictures::webp_of_codes(),
        pictures::bitmap(),
    ];
    let mut works = Vec::new();
    for file in files.map(pictures::padded) {
        works.push(file_task(TaskType::Ocr, &file)?);
        works.push(file_task(TaskType::FaceDetection, &file)?);
    }
    Ok(Scenario::one_by_one(works))
}

fn small_picture() -> Result<Vec<u8>> {
    pictures::noise((MAX_SMALL_SIDE, MAX_SMALL_SIDE), MAX_SMALL_BYTES - 10_000)
}

fn recording(file: &[u8]) -> Result<Scenario> {
    one(file_task(TaskType::Transcribe, file))
}

fn text(bytes: usize) -> String {
    "The parcel came late, and the box was torn. ".repeat(bytes / 44)
}

/// A text of few words that is as long as one of many: small, however long.
fn long_words(words: usize, bytes: usize) -> String {
    format!("{} ", "parcel.".repeat(bytes / words / 7)).repeat(words)
}

fn labels() -> Vec<String> {
    let label = |number: usize| format!("{number} {}", "label ".repeat(32));
    (0..mesh_task::MAX_LABELS).map(label).collect()
}

/// A schema of almost 16 kB, with as many patterns as are accepted, and else the values that take most memory for their length.
fn schema() -> Value {
    let field = |number: usize| {
        let pattern = format!(r"^\w{{1,9}}{number}$");
        (
            format!("field_{number}"),
            json!({ "type": "string", "pattern": pattern }),
        )
    };
    let mut fields: serde_json::Map<_, _> = (0..mesh_extraction_schema::MAX_PATTERNS).map(field).collect();
    let codes: Vec<_> = (0..1_400).map(|code| json!({ "a": code })).collect();
    fields.insert("code".to_owned(), json!({ "enum": codes }));
    json!({ "type": "object", "properties": fields })
}

/// A schema of 16 kB whose validator takes most memory: for each value of the closed branches, a list of all open ones.
fn branches() -> Value {
    let values = |numbers: std::ops::Range<usize>| json!({ "properties": { "a": { "enum": numbers.collect::<Vec<_>>() } } });
    let mut branches = vec![values(0..1_350), values(1_350..2_700)];
    branches.extend(vec![json!({}); 900]);
    json!({ "type": "object", "anyOf": branches })
}

fn image_request() -> Value {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.resize(requests::room_for_file(64), 7);
    let body = json!({ "type": "ocr", "input": { "image": requests::base64(&png) } });
    requests::post("/v1/tasks", &body.to_string())
}

fn batch_request() -> Value {
    let task = json!({ "type": "summarize", "input": { "text": text(6_000) } });
    requests::post(
        "/v1/tasks/batch",
        &json!({ "tasks": vec![task; 1_000] }).to_string(),
    )
}

fn schemas_request() -> Value {
    let task = json!({ "type": "data_extraction", "input": { "text": "a", "schema": schema() } });
    requests::encoded(
        "/v1/tasks/batch",
        &json!({ "tasks": vec![task; 280] }).to_string(),
    )
}

fn small_task() -> Task {
    let work = json_task(TaskType::Sentiment, json!({ "text": "a" }));
    work.expect("the input is valid").task
}

/// A task whose item is as large as those that the api and the workers write: the largest inline input, metadata and history.
fn full_task() -> Task {
    let work = json_task(TaskType::Sentiment, json!({ "text": text(4_000) }));
    let mut task = work.expect("the input is valid").task;
    let pair = |number: usize| (format!("{number}"), "x".repeat(90));
    task.metadata = (0..10).map(pair).collect();
    let attempt = Attempt {
        generation: 1,
        started_at: task.created_at,
        ended_at: Some(task.created_at),
        outcome: None,
        error: Some("x".repeat(256)),
    };
    task.history = vec![attempt; mesh_task::MAX_HISTORY];
    task
}

/// A task with the largest inline result besides.
fn completed_task() -> Task {
    let embedding = vec![0.123_456_79; mesh_task::MAX_INLINE_RESULT_BYTES / 12];
    Task {
        status: Status::Completed,
        result: Some(TaskResult::Embeddings(Embeddings {
            embeddings: vec![embedding],
        })),
        ..full_task()
    }
}

/// A task whose schema is as many empty objects as it has room for. As an item it is mostly braces.
fn empty_objects_task() -> Result<Task> {
    let input = json!({ "text": "a", "schema": empty_objects_schema() });
    Ok(json_task(TaskType::DataExtraction, input)?.task)
}

fn empty_objects_schema() -> Value {
    json!({ "type": "object", "const": vec![json!({}); 5_300] })
}

fn full_page() -> Vec<Task> {
    let task = full_task();
    let bytes = item(&task).to_string().len();
    vec![task; PAGE_BYTES / bytes]
}

/// As many of the largest records as Lambda puts into one batch.
fn stream_batch(task: &Task) -> Value {
    let image = item(task);
    let record = |number: usize| {
        json!({
            "eventID": number.to_string(), "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1", "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/bench/stream/1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_769_774_400, "StreamViewType": "NEW_AND_OLD_IMAGES",
                "Keys": { "id": image["id"], "tenant_shard": image["tenant_shard"] },
                "SequenceNumber": (1_000_000 + number).to_string(), "SizeBytes": 60_000,
                "OldImage": image, "NewImage": image,
            },
        })
    };
    let records = (MAX_EVENT_BYTES / record(0).to_string().len()).min(100);
    json!({ "Records": (0..records).map(record).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_schemas_are_accepted() {
        for schema in [schema(), empty_objects_schema()] {
            let bytes = schema.to_string().len();
            assert!((15_000..=mesh_task::MAX_SCHEMA_BYTES).contains(&bytes), "{bytes}");
            mesh_extraction_schema::Schema::parse(schema).unwrap();
        }
    }
}

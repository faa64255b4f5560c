//! What a client may send, as JSON Schema, with the limits that the parsers enforce.
//!
//! A schema may accept what the parser refuses (a length in bytes, two fields that exclude each other). What a schema refuses,
//! the parser refuses too. A test compares both on the same bodies.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::{
    MAX_ATTEMPTS, MAX_LABEL_BYTES, MAX_LABELS, MAX_MEDIA_BYTES, MAX_METADATA_BYTES, MAX_METADATA_PAIRS,
    MAX_SUMMARY_SENTENCES, MAX_TEXT_BYTES, MAX_TEXTS, MAX_TIMEOUT_SECONDS, TaskType,
};

/// A pattern of texts that are not white space. The parser also refuses texts of other characters that no reader sees.
const NOT_BLANK: &str = r"\S";

/// The schemas of request bodies, by name, with the schemas that they refer to. They also refer to `Priority`, whose schema is
/// derived.
#[must_use]
pub fn request_schemas() -> Vec<(String, Value)> {
    let mut schemas = vec![
        ("Submission".to_owned(), submission()),
        ("SubmissionMetadata".to_owned(), metadata()),
        ("Engine".to_owned(), engine()),
        ("ExtractionSchema".to_owned(), extraction_schema()),
        ("NewUpload".to_owned(), new_upload()),
    ];
    for task_type in TaskType::ALL {
        let name = pascal_case(task_type);
        schemas.push((format!("{name}Task"), task(task_type)));
        schemas.push((format!("{name}Input"), input(task_type)));
    }
    schemas
}

/// A submission that the API accepts and that shows what the type can do.
#[must_use]
pub fn example(task_type: TaskType) -> Value {
    // The smallest image and the smallest recording with a valid beginning.
    let pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let silence = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YQIAAAAAAA==";
    let input = match task_type {
        TaskType::Sentiment => json!({ "text": "What a delightful little machine." }),
        TaskType::Classify => json!({
            "text": "The goalkeeper saved a penalty in the last minute.",
            "labels": ["sports", "cooking", "politics"],
        }),
        TaskType::Embed => json!({ "texts": ["A cat sat on the mat.", "A kitten rested on the rug."] }),
        TaskType::Summarize => json!({
            "text": "The bridge was closed on Monday. Engineers had found cracks in two cables. \
                     It will open again when both are replaced. The ferry runs twice as often until then.",
            "max_sentences": 2,
        }),
        TaskType::Translate => json!({ "text": "Good morning!", "target_language": "de" }),
        TaskType::DataExtraction => json!({
            "text": "Ada Lovelace, born in 1815, lived in London.",
            "schema": { "name": "string", "birth_year": "integer" },
        }),
        TaskType::FaceDetection | TaskType::Ocr => json!({ "image": pixel }),
        TaskType::Transcribe => json!({ "audio": silence }),
    };
    json!({ "type": task_type, "input": input })
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// For example `face_detection` to `FaceDetection`.
fn pascal_case(task_type: TaskType) -> String {
    let words = task_type.as_str().split('_');
    words
        .map(|word| word[..1].to_ascii_uppercase() + &word[1..])
        .collect()
}

fn submission() -> Value {
    let of = |task_type| reference(&format!("{}Task", pascal_case(task_type)));
    let each = TaskType::ALL.map(|task_type| json!({ "$ref": of(task_type) }));
    let mapping = TaskType::ALL.map(|task_type| (task_type.as_str().to_owned(), json!(of(task_type))));
    json!({
        "description": "A task to run: its type, an input of that type, and options.",
        "oneOf": each,
        "discriminator": { "propertyName": "type", "mapping": Map::from_iter(mapping) },
    })
}

fn task(task_type: TaskType) -> Value {
    let properties = json!({
        "type": { "type": "string", "const": task_type },
        "input": { "$ref": reference(&format!("{}Input", pascal_case(task_type))) },
        "metadata": or_null("SubmissionMetadata"),
        "priority": or_null("Priority"),
        "max_attempts": {
            "description": "The highest number of attempts. Without it, the retry policy of the type decides.",
            "type": ["integer", "null"], "minimum": 1, "maximum": MAX_ATTEMPTS,
        },
        "timeout_seconds": {
            "description": "How long one attempt may run, in seconds. The worker's own limit applies if it is lower.",
            "type": ["integer", "null"], "minimum": 1, "maximum": MAX_TIMEOUT_SECONDS,
        },
    });
    json!({
        "type": "object",
        "required": ["type", "input"],
        "properties": properties,
        "additionalProperties": false,
        "examples": [example(task_type)],
    })
}

/// An optional field accepts null too.
fn or_null(name: &str) -> Value {
    json!({ "oneOf": [{ "type": "null" }, { "$ref": reference(name) }] })
}

fn metadata() -> Value {
    json!({
        "description": format!(
            "Your own notes, returned unchanged. Keys and values together have at most {MAX_METADATA_BYTES} bytes."
        ),
        "type": "object",
        "maxProperties": MAX_METADATA_PAIRS,
        "propertyNames": { "minLength": 1, "maxLength": MAX_METADATA_BYTES },
        "additionalProperties": { "type": "string", "maxLength": MAX_METADATA_BYTES },
    })
}

fn engine() -> Value {
    json!({
        "description": "Which model runs the task: `onnx`, a bundled model and the default, or `llm`, the language model of the \
                        stack's provider.",
        "type": "string", "enum": ["onnx", "llm"],
    })
}

fn extraction_schema() -> Value {
    json!({
        "description": "A JSON Schema of an object, without references to other documents; or an object that names each \
                        field's type: `{\"name\": \"string\"}`. At most 16,384 bytes and 28 levels; once references \
                        are inlined, at most 32,768 bytes, 1,000 subschemas, 16 of them within each other, and 32 patterns \
                        of 2,000 bytes together. Numbers are 0 or have a magnitude from 1e-130 to below 1e126, and no field \
                        has an empty name.",
        "type": "object", "minProperties": 1, "propertyNames": { "minLength": 1 },
    })
}

/// One alternative for each field that can contain the content, each with all parameters of the type.
fn input(task_type: TaskType) -> Value {
    let (parameters, required) = parameters(task_type);
    let contents = match task_type {
        TaskType::Embed => vec![text(), texts(), upload()],
        TaskType::FaceDetection | TaskType::Ocr => {
            vec![file("image", "JPEG, PNG, WebP, GIF or BMP"), upload()]
        }
        TaskType::Transcribe => vec![file("audio", "WAV, FLAC, MP3 or OGG"), upload()],
        _ => vec![text(), upload()],
    };
    let alternatives = contents.into_iter().map(|(name, schema)| {
        let mut properties = parameters.clone();
        properties.insert(name.to_owned(), schema);
        let mut required = required.to_vec();
        required.push(name);
        let title = format!(
            "{}By{}{}",
            pascal_case(task_type),
            name[..1].to_ascii_uppercase(),
            &name[1..]
        );
        json!({
            "title": title,
            "type": "object",
            "required": required,
            "properties": properties,
            "additionalProperties": false,
        })
    });
    json!({ "oneOf": alternatives.collect::<Vec<_>>() })
}

/// The fields of the input other than the content, and the names of the required ones.
fn parameters(task_type: TaskType) -> (Map<String, Value>, &'static [&'static str]) {
    let (parameters, required): (Value, &[&str]) = match task_type {
        TaskType::Classify => (
            json!({
                "labels": {
                    "description": "At least 2 different labels, or 1 with `multi_label`. Without it, a default set of twelve labels.",
                    "type": ["array", "null"], "minItems": 1, "maxItems": MAX_LABELS, "uniqueItems": true,
                    "items": { "type": "string", "minLength": 1, "maxLength": MAX_LABEL_BYTES, "pattern": NOT_BLANK },
                },
                "multi_label": {
                    "description": "Whether each label is scored independently, so that several labels or none can fit.",
                    "type": ["boolean", "null"], "default": false,
                },
                "engine": or_null("Engine"),
            }),
            &[],
        ),
        TaskType::Summarize => (
            json!({
                "max_sentences": {
                    "description": "The highest number of sentences: 3 if neither this nor `ratio` is present. They exclude each other.",
                    "type": ["integer", "null"], "minimum": 1, "maximum": MAX_SUMMARY_SENTENCES,
                },
                "ratio": {
                    "description": "The summary's share of the sentences.",
                    "type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1,
                },
                "engine": or_null("Engine"),
            }),
            &[],
        ),
        TaskType::Translate => (
            json!({
                "target_language": {
                    "description": "A code (`de`, `pt-BR`) or an English name (`German`).",
                    "type": "string", "minLength": 1, "maxLength": 40, "pattern": NOT_BLANK,
                },
            }),
            &["target_language"],
        ),
        TaskType::DataExtraction => (
            json!({
                "schema": { "$ref": reference("ExtractionSchema") },
            }),
            &["schema"],
        ),
        TaskType::Sentiment
        | TaskType::Embed
        | TaskType::FaceDetection
        | TaskType::Ocr
        | TaskType::Transcribe => (json!({}), &[]),
    };
    let Value::Object(parameters) = parameters else {
        return (Map::new(), required);
    };
    (parameters, required)
}

fn one_text() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": MAX_TEXT_BYTES, "pattern": NOT_BLANK })
}

fn text() -> (&'static str, Value) {
    let mut schema = one_text();
    schema["description"] = json!(format!(
        "Has a visible character, at most {MAX_TEXT_BYTES} bytes of UTF-8."
    ));
    ("text", schema)
}

fn texts() -> (&'static str, Value) {
    let description =
        format!("Each has a visible character, together at most {MAX_TEXT_BYTES} bytes of UTF-8.");
    let schema = json!({
        "description": description, "type": "array", "minItems": 1, "maxItems": MAX_TEXTS, "items": one_text(),
    });
    ("texts", schema)
}

fn file(name: &'static str, kinds: &str) -> (&'static str, Value) {
    let description = format!("The file in base64, bare or in a data URL: {kinds}.");
    (
        name,
        json!({ "description": description, "type": "string", "minLength": 1 }),
    )
}

fn upload() -> (&'static str, Value) {
    let description = "The id that `POST /v1/uploads` returned. Upload the content first.";
    (
        "upload",
        json!({ "description": description, "type": "string", "format": "uuid" }),
    )
}

fn new_upload() -> Value {
    json!({
        "description": "The announcement of an upload. Its signed request accepts this content only.",
        "type": "object",
        "required": ["content_type", "length", "sha256"],
        "properties": {
            "content_type": {
                "description": "`text/...`, `image/...` or `audio/...`. The content's own type is detected when a task names the upload.",
                "type": "string", "maxLength": 100, "pattern": "^[ -~]+/[ -~]*$",
            },
            "length": {
                "description": format!("In bytes. A text has at most {MAX_TEXT_BYTES}."),
                "type": "integer", "minimum": 1, "maximum": MAX_MEDIA_BYTES,
            },
            "sha256": {
                "description": "The SHA-256 of the content, in hex.",
                "type": "string", "pattern": "^[0-9a-fA-F]{64}$",
            },
        },
        "additionalProperties": false,
        "examples": [{
            "content_type": "image/jpeg",
            "length": 7_340_032,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        }],
    })
}

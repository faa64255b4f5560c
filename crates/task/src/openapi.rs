//! What a client may send, as JSON Schema: the same limits that the parsers beside it hold requests to.
//!
//! A schema may let through what the parser refuses (a length in bytes, two fields that exclude each other); what the schema
//! refuses, the parser refuses too. A test holds both against the same bodies.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::{
    MAX_ATTEMPTS, MAX_LABEL_BYTES, MAX_LABELS, MAX_MEDIA_BYTES, MAX_METADATA_BYTES, MAX_METADATA_PAIRS,
    MAX_SUMMARY_SENTENCES, MAX_TEXT_BYTES, MAX_TEXTS, MAX_TIMEOUT_SECONDS, TaskType,
};

/// What is not blank.
const NOT_BLANK: &str = r"\S";

/// The schemas of request bodies, by name, the parts that they refer to among them. They also refer to `Priority`, which is
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

/// A submission that is accepted and shows what the type can do.
#[must_use]
pub fn example(task_type: TaskType) -> Value {
    // The smallest image, and the smallest recording, that begin as they should.
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

/// `face_detection` -> `FaceDetection`
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
        "description": "A task to run: its type, the input that the type takes, and how it is to be treated.",
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
            "description": "How often it is tried; else the type's policy says.",
            "type": ["integer", "null"], "minimum": 1, "maximum": MAX_ATTEMPTS,
        },
        "timeout_seconds": {
            "description": "How long one attempt may run, where that is less than the worker's own limit.",
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

/// What may be left out may as well be null.
fn or_null(name: &str) -> Value {
    json!({ "oneOf": [{ "type": "null" }, { "$ref": reference(name) }] })
}

fn metadata() -> Value {
    json!({
        "description": format!(
            "Your own notes: given back, never interpreted. Keys and values have {MAX_METADATA_BYTES} bytes together at most."
        ),
        "type": "object",
        "maxProperties": MAX_METADATA_PAIRS,
        "propertyNames": { "minLength": 1, "maxLength": MAX_METADATA_BYTES },
        "additionalProperties": { "type": "string", "maxLength": MAX_METADATA_BYTES },
    })
}

fn engine() -> Value {
    json!({
        "description": "Who answers: `onnx`, a model that the worker carries and the default, or `llm`, the language model of \
                        the stack's provider.",
        "type": "string", "enum": ["onnx", "llm"],
    })
}

fn extraction_schema() -> Value {
    json!({
        "description": "A JSON Schema of an object, without references to other documents; or an object that gives each \
                        field's type: `{\"name\": \"string\"}`. At most 16,384 bytes and 28 levels; numbers are 0, or of a size \
                        from 1e-130 to below 1e126, and no field's name is empty.",
        "type": "object", "minProperties": 1, "propertyNames": { "minLength": 1 },
    })
}

/// One alternative for each field that can hold the content, each with all of the type's parameters.
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

/// What the input holds beside the content, and what of it must be there.
fn parameters(task_type: TaskType) -> (Map<String, Value>, &'static [&'static str]) {
    let (parameters, required): (Value, &[&str]) = match task_type {
        TaskType::Classify => (
            json!({
                "labels": {
                    "description": "2 or more different ones, 1 with `multi_label`; a default set of twelve if it is left out.",
                    "type": ["array", "null"], "minItems": 1, "maxItems": MAX_LABELS, "uniqueItems": true,
                    "items": { "type": "string", "minLength": 1, "maxLength": MAX_LABEL_BYTES, "pattern": NOT_BLANK },
                },
                "multi_label": {
                    "description": "Whether each label is judged by itself, so that several may fit, or none.",
                    "type": ["boolean", "null"], "default": false,
                },
                "engine": or_null("Engine"),
            }),
            &[],
        ),
        TaskType::Summarize => (
            json!({
                "max_sentences": {
                    "description": "3 if neither this nor `ratio` is given; they exclude each other.",
                    "type": ["integer", "null"], "minimum": 1, "maximum": MAX_SUMMARY_SENTENCES,
                },
                "ratio": {
                    "description": "The share of the sentences that is kept.",
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
    schema["description"] = json!(format!("Not blank, at most {MAX_TEXT_BYTES} bytes of UTF-8."));
    ("text", schema)
}

fn texts() -> (&'static str, Value) {
    let description = format!("Each not blank, together at most {MAX_TEXT_BYTES} bytes of UTF-8.");
    let schema = json!({
        "description": description, "type": "array", "minItems": 1, "maxItems": MAX_TEXTS, "items": one_text(),
    });
    ("texts", schema)
}

fn file(name: &'static str, kinds: &str) -> (&'static str, Value) {
    let description = format!("The file in base64, bare or as a data URL: {kinds}.");
    (
        name,
        json!({ "description": description, "type": "string", "minLength": 1 }),
    )
}

fn upload() -> (&'static str, Value) {
    let description = "An id that `POST /v1/uploads` answered, once its content is uploaded.";
    (
        "upload",
        json!({ "description": description, "type": "string", "format": "uuid" }),
    )
}

fn new_upload() -> Value {
    json!({
        "description": "What is announced of an upload: only this can then be uploaded.",
        "type": "object",
        "required": ["content_type", "length", "sha256"],
        "properties": {
            "content_type": {
                "description": "`text/...`, `image/...` or `audio/...`. The content itself is looked at when a task names it.",
                "type": "string", "maxLength": 100, "pattern": "^[ -~]+/[ -~]*$",
            },
            "length": {
                "description": format!("In bytes; a text has {MAX_TEXT_BYTES} at most."),
                "type": "integer", "minimum": 1, "maximum": MAX_MEDIA_BYTES,
            },
            "sha256": {
                "description": "The content's SHA-256 in hex.",
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

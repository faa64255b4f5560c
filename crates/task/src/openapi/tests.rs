use super::*;
use crate::NewTask;

/// A validator of submissions.
fn validator() -> jsonschema::Validator {
    let mut schemas: Map<_, _> = request_schemas().into_iter().collect();
    schemas.insert(
        "Priority".to_owned(),
        json!({ "enum": ["high", "normal", "low"] }),
    );
    let root = json!({ "$ref": reference("Submission"), "components": { "schemas": schemas } });
    jsonschema::validator_for(&root).unwrap()
}

#[test]
fn every_example_is_accepted() {
    let validator = validator();
    for task_type in TaskType::ALL {
        let example = example(task_type);
        assert!(validator.is_valid(&example), "{example}");
        assert_eq!(NewTask::parse(example).unwrap().task_type, task_type);
    }
}

/// Bodies that differ from an example in one place. Parser and schema must agree on each.
#[test]
fn parser_and_schema_agree_on_every_body() {
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(3),
        json!(0.5),
        json!(-1),
        json!(901),
        json!(""),
        json!(" "),
        json!("high"),
        json!("llm"),
        json!([]),
        json!(["a"]),
        json!(["a", "b"]),
        json!(["a", "a"]),
        json!(["a", " "]),
        json!(["a", 1]),
        json!({}),
        json!({ "a": "b" }),
        json!({ "": "b" }),
        json!({ "a": 1 }),
    ];
    let fields = [
        "text",
        "texts",
        "image",
        "audio",
        "upload",
        "labels",
        "multi_label",
        "engine",
        "max_sentences",
        "ratio",
        "target_language",
        "schema",
        "unknown",
    ];
    let whole = [
        "type",
        "input",
        "metadata",
        "priority",
        "max_attempts",
        "timeout_seconds",
        "unknown",
    ];
    let validator = validator();
    let (mut accepted, mut refused) = (0, 0);
    let mut compare = |body: Value| {
        let valid = validator.is_valid(&body);
        let parsed = NewTask::parse(body.clone());
        // Only the parser checks the bytes of a file, the id of an upload (`format` asserts nothing) and a single label.
        let beyond = parsed.as_ref().is_err_and(|error| {
            let beyond = [
                "base64",
                "of a known type",
                "is not an upload id",
                "labels has length 1:",
                "exclude each other",
            ];
            beyond.iter().any(|word| error.message.contains(word))
        });
        assert!(
            valid == parsed.is_ok() || (valid && beyond),
            "{body}: {valid}, but {parsed:?}"
        );
        if parsed.is_ok() {
            accepted += 1;
        } else {
            refused += 1;
        }
    };
    for task_type in TaskType::ALL {
        for value in &odd {
            for field in whole {
                let mut body = example(task_type);
                body[field] = value.clone();
                compare(body);
            }
            for field in fields {
                let mut body = example(task_type);
                body["input"][field] = value.clone();
                compare(body);
            }
        }
        for field in whole {
            let mut body = example(task_type);
            body.as_object_mut().unwrap().remove(field);
            compare(body);
        }
        for field in fields {
            let mut body = example(task_type);
            body["input"].as_object_mut().unwrap().remove(field);
            compare(body);
        }
    }
    assert!(accepted > 200 && refused > 2_000, "{accepted}, {refused}");
}

#[test]
fn parser_and_schema_agree_on_the_announcement_of_an_upload() {
    let validator = jsonschema::validator_for(&new_upload()).unwrap();
    let example = new_upload()["examples"][0].clone();
    assert!(crate::NewUpload::parse(example.clone()).is_ok() && validator.is_valid(&example));
    for (field, value) in [
        ("content_type", json!("image")),
        ("content_type", json!(1)),
        ("length", json!(0)),
        ("length", json!(MAX_MEDIA_BYTES + 1)),
        ("length", json!("7")),
        ("sha256", json!("00")),
        ("more", json!(1)),
    ] {
        let mut body = example.clone();
        body[field] = value;
        assert!(!validator.is_valid(&body), "{body}");
        assert!(crate::NewUpload::parse(body).is_err());
    }
}

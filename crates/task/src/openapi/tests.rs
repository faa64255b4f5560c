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

/// Bodies that differ from an example in one place. Whether each is accepted, parser and schema must agree.
#[test]
fn what_the_schema_refuses_the_parser_refuses_too_and_the_other_way_round() {
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
    let mut hold = |body: Value| {
        let valid = validator.is_valid(&body);
        let parsed = NewTask::parse(body.clone());
        // What only the parser can tell: the bytes of a file, an upload's id (a format asserts nothing), one label alone.
        let beyond = parsed.as_ref().is_err_and(|error| {
            let beyond = [
                "base64",
                "of a known type",
                "no upload's id",
                "labels has 1:",
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
                hold(body);
            }
            for field in fields {
                let mut body = example(task_type);
                body["input"][field] = value.clone();
                hold(body);
            }
        }
        for field in whole {
            let mut body = example(task_type);
            body.as_object_mut().unwrap().remove(field);
            hold(body);
        }
        for field in fields {
            let mut body = example(task_type);
            body["input"].as_object_mut().unwrap().remove(field);
            hold(body);
        }
    }
    assert!(accepted > 200 && refused > 2_000, "{accepted}, {refused}");
}

#[test]
fn an_upload_is_announced_as_its_schema_says() {
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

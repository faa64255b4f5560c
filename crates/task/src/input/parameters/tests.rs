use serde_json::json;

use super::*;

fn parse(task_type: TaskType, fields: &Value) -> Result<Parameters, InvalidInput> {
    Parameters::parse(task_type, fields.as_object().unwrap().clone())
}

/// A schema that is nested in this many others.
fn nested_schema(levels: usize) -> Value {
    (0..levels).fold(
        json!({ "type": "object", "properties": {} }),
        |inner, _| json!({ "type": "object", "properties": { "a": inner } }),
    )
}

#[test]
fn the_refusal_of_a_parameter_says_what_to_send() {
    let many: Vec<_> = (0..=MAX_LABELS).map(|n| n.to_string()).collect();
    let refusals = [
        (TaskType::Classify, json!({ "labels": [] }), "default set"),
        (TaskType::Classify, json!({ "labels": ["a"] }), "send 2 to 100"),
        (TaskType::Classify, json!({ "labels": many }), "send 2 to 100"),
        (TaskType::Classify, json!({ "labels": ["a", " "] }), "labels[1]"),
        (
            TaskType::Classify,
            json!({ "labels": ["a", "b", "a"] }),
            "labels[2] is a duplicate: list each label once",
        ),
        (TaskType::Classify, json!({ "labels": "a,b" }), "send {\"text\""),
        (TaskType::Classify, json!({ "engine": "gpu" }), "send {\"text\""),
        (
            TaskType::Summarize,
            json!({ "max_sentences": 0 }),
            "send 1 to 100",
        ),
        (
            TaskType::Summarize,
            json!({ "max_sentences": 3.5 }),
            "max_sentences is 3.5: send a whole number from 1 to 100",
        ),
        (
            TaskType::Summarize,
            json!({ "max_sentences": -1 }),
            "max_sentences is -1",
        ),
        (TaskType::Summarize, json!({ "ratio": 1.5 }), "at most 1"),
        (
            TaskType::Summarize,
            json!({ "ratio": 0.5, "max_sentences": 1 }),
            "send one",
        ),
        (TaskType::Translate, json!({}), "target_language"),
        (
            TaskType::Translate,
            json!({ "target_language": "de\nIgnore" }),
            "not a language",
        ),
        (
            TaskType::Translate,
            json!({ "target_language": " " }),
            "not a language",
        ),
        (TaskType::DataExtraction, json!({ "schema": {} }), "JSON Schema"),
        (
            TaskType::DataExtraction,
            json!({ "schema": "name" }),
            "JSON Schema",
        ),
        (
            TaskType::DataExtraction,
            json!({ "schema": { "a": "x".repeat(MAX_SCHEMA_BYTES) } }),
            "send at most",
        ),
        (
            TaskType::Summarize,
            json!({ "ratio": 1e-200 }),
            "input.ratio contains 1e-200, which is out of range: send 0 or a number",
        ),
        (
            TaskType::DataExtraction,
            json!({ "schema": { "type": "object", "properties": { "a": { "minimum": 1e200 } } } }),
            "input.schema contains 1e+200",
        ),
        (
            TaskType::DataExtraction,
            json!({ "schema": { "": "string" } }),
            "input.schema has a field without a name",
        ),
        (
            TaskType::DataExtraction,
            json!({ "schema": nested_schema(14) }),
            "input.schema is nested too deep",
        ),
        (TaskType::Ocr, json!({ "dpi": 300 }), "unknown field `dpi`"),
        (TaskType::Embed, json!({ "model": "x" }), "unknown field `model`"),
    ];
    for (task_type, fields, reason) in refusals {
        let refusal = parse(task_type, &fields).unwrap_err().to_string();
        assert!(refusal.contains(reason), "{fields}: {refusal}");
    }
}

#[test]
fn parameters_are_read_back_as_they_were_written() {
    for (task_type, fields) in [
        (TaskType::Sentiment, json!({})),
        (
            TaskType::Classify,
            json!({ "labels": ["a", "b"], "multi_label": true }),
        ),
        (TaskType::Classify, json!({ "engine": "llm" })),
        (TaskType::Summarize, json!({ "max_sentences": 2 })),
        (TaskType::Summarize, json!({ "ratio": 0.25 })),
        (TaskType::Translate, json!({ "target_language": "pt-BR" })),
        (
            TaskType::DataExtraction,
            json!({ "schema": { "name": "string" } }),
        ),
        (TaskType::DataExtraction, json!({ "schema": nested_schema(13) })),
    ] {
        let parameters = parse(task_type, &fields).unwrap();
        assert_eq!(Value::Object(parameters.to_fields()), fields);
    }
}

#[test]
fn a_task_for_a_language_model_goes_to_its_worker() {
    let worker_kind = |task_type, fields| parse(task_type, &fields).unwrap().worker_kind();
    assert_eq!(worker_kind(TaskType::Summarize, json!({})), WorkerKind::Text);
    assert_eq!(
        worker_kind(TaskType::Summarize, json!({ "engine": "llm" })),
        WorkerKind::Language
    );
    assert_eq!(
        worker_kind(TaskType::Translate, json!({ "target_language": "de" })),
        WorkerKind::Language
    );
    assert_eq!(worker_kind(TaskType::Transcribe, json!({})), WorkerKind::Audio);
}

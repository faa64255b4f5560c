//! Tasks that need a language model, on a stack without one.

use mesh_tests::Api;
use serde_json::json;

#[test]
fn without_a_provider_a_task_fails_at_once_and_says_how_to_configure_one() {
    let api = Api::new();
    for (task_type, input) in [
        (
            "translate",
            json!({ "text": "Good morning", "target_language": "de" }),
        ),
        (
            "data_extraction",
            json!({ "text": "Ann is 41.", "schema": { "name": "string", "age": "integer" } }),
        ),
        (
            "summarize",
            json!({ "text": "One. Two. Three.", "engine": "llm" }),
        ),
        (
            "classify",
            json!({ "text": "One", "labels": ["a", "b"], "engine": "llm" }),
        ),
    ] {
        let task = api.failed(
            &api.submit(task_type, input, &[]),
            "permanent",
            "provider_not_configured",
        );
        let message = task["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("LanguageProvider"), "{task}");
        assert_eq!(task["attempt"], 1, "{task}");
    }
}

#[test]
fn an_unusable_schema_is_refused_at_submission() {
    let api = Api::new();
    let field = |schema| json!({ "type": "object", "properties": { "a": schema } });
    let deep = (0..30).fold(json!(1), |inner, _| json!([inner]));
    for (schema, message) in [
        (
            field(json!({ "$ref": "http://169.254.169.254/latest" })),
            "nothing is fetched",
        ),
        (field(json!({ "$ref": "#" })), "refers to itself"),
        (field(json!({ "type": "strin" })), "not a valid JSON Schema"),
        (json!({ "type": "array", "items": {} }), "must describe an object"),
        (json!({ "name": "strange" }), "must describe an object"),
        (field(json!({ "minimum": 1e200 })), "contains 1e+200"),
        (field(json!({ "default": deep })), "nested too deep"),
    ] {
        let input = json!({ "text": "Ann is 41.", "schema": schema });
        let reply = api.post(&json!({ "type": "data_extraction", "input": input }));
        let detail = reply.problem(422, "invalid-input");
        assert!(detail.contains(message), "{detail}");
    }
}

//! Health of the API and of the services that it calls, and the list of models.

use mesh_tests::Api;
use serde_json::{Value, json};

fn deep_check(api: &Api) -> (u16, Value) {
    let reply = api.get("/health?deep=1");
    (reply.status, reply.body)
}

fn names(report: &Value, ok: bool) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("a list");
    checks
        .iter()
        .filter(|check| check["ok"] == ok)
        .map(|check| check["name"].as_str().expect("a name"))
        .collect()
}

fn queues() -> Vec<String> {
    mesh_task::Lane::all()
        .map(|lane| format!("{lane}-queue"))
        .collect()
}

#[test]
fn a_deep_check_calls_the_table_the_queues_and_the_bucket() {
    let api = Api::new();
    let (status, report) = deep_check(&api);
    assert_eq!((status, &report["status"]), (200, &json!("ok")), "{report}");
    let mut expected = queues();
    expected.insert(0, "table".to_owned());
    expected.push("bucket".to_owned());
    assert_eq!(names(&report, true), expected);
    for check in report["checks"].as_array().expect("a list") {
        assert!(
            check["latency_ms"].is_u64() && check.get("error").is_none(),
            "{check}"
        );
    }
}

#[test]
fn a_deep_check_needs_the_token() {
    let api = Api::new();
    api.send("GET", "/health?deep=1", &[], None)
        .problem(401, "unauthorized");
    api.send("GET", "/health?deep=1", &[("x-service-token", "wrong")], None)
        .problem(401, "unauthorized");
    for invalid in ["yes", "", "2"] {
        let detail = api
            .get(&format!("/health?deep={invalid}"))
            .problem(400, "invalid-query");
        assert!(detail.contains("deep"), "{detail}");
    }
}

#[test]
fn the_listed_models_are_those_that_run() {
    let api = Api::new();
    let reply = api.get("/v1/models");
    assert_eq!(reply.status, 200, "{reply:?}");
    let models = reply.body["models"].as_array().expect("a list");
    let of = |task_type: &str| {
        let model = models.iter().find(|model| {
            let types = model["task_types"].as_array().expect("a list");
            types.contains(&json!(task_type))
        });
        model.unwrap_or_else(|| panic!("a model for {task_type}"))
    };
    for (task_type, input) in [
        ("sentiment", json!({ "text": "fine" })),
        ("embed", json!({ "text": "fine" })),
    ] {
        let model = of(task_type);
        let task = api.finished(&api.submit(task_type, input, &[]));
        assert_eq!(
            (&task["model"]["name"], &task["model"]["version"]),
            (&model["name"], &model["version"]),
            "{task}"
        );
        assert_eq!(model["runs_in"], "text-worker", "{model}");
    }
    for task_type in ["classify", "summarize", "face_detection", "ocr", "transcribe"] {
        let model = of(task_type);
        assert!(
            model["licence"].is_string() && model["engine"] == "onnxruntime",
            "{model}"
        );
    }
    api.send("GET", "/v1/models", &[], None)
        .problem(401, "unauthorized");
}

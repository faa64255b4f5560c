//! Health of the services that the API calls.

use mesh_tests::Api;
use serde_json::{Value, json};

/// A deep check, with `faults` injected into its calls to AWS.
fn deep_check(api: &Api, faults: &str) -> (u16, Value) {
    let headers = [("x-service-token", api.token()), ("x-ai-mesh-fault", faults)];
    let reply = api.send("GET", "/health?deep=1", &headers, None);
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

#[test]
fn health_needs_no_token_and_calls_no_service() {
    let api = Api::of_cloud();
    for path in ["/health", "/health?deep=0"] {
        let reply = api.send("GET", path, &[], None);
        assert_eq!((reply.status, &reply.body), (200, &json!({ "status": "ok" })));
        let metered: Value =
            serde_json::from_str(reply.header("x-ai-mesh-meter")).expect("the meter is JSON");
        assert_eq!(metered["calls"], json!({}));
    }
}

fn queues() -> Vec<String> {
    mesh_task::Lane::all()
        .map(|lane| format!("{lane}-queue"))
        .collect()
}

#[test]
fn a_deep_check_names_what_fails() {
    let api = Api::of_cloud();
    for (fault, failing) in [
        ("GetItem=before", vec!["table".to_owned()]),
        ("GetObject=before", vec!["bucket".to_owned()]),
        ("GetQueueAttributes=before", queues()),
    ] {
        let (status, report) = deep_check(&api, fault);
        assert_eq!((status, &report["status"]), (503, &json!("failing")), "{report}");
        assert_eq!(names(&report, false), failing, "{report}");
        let checks = report["checks"].as_array().expect("a list");
        let failed = checks.iter().find(|check| check["ok"] == false);
        assert_eq!(
            failed.map(|check| &check["error"]),
            Some(&json!("no answer")),
            "{report}"
        );
    }
}

//! The limits of the workers, as the template's parameters set them.

use mesh_tests::Api;
use serde_json::json;

#[test]
fn a_worker_s_limits_are_those_of_its_lanes() {
    let reply = Api::of_cloud().get("/v1/workers");
    let workers = reply.body["workers"].as_array().expect("workers");
    let text = workers.iter().find(|worker| worker["name"] == "text-worker");
    // From tests/stack.toml and the template's defaults.
    assert_eq!(
        text.map(|worker| &worker["limits"]),
        Some(&json!({ "small": 2, "large": 8, "high": 2, "low": 2 })),
        "{reply:?}"
    );
}

//! What the API shows of the workers, from their metrics.

use std::collections::BTreeSet;

use mesh_tests::{Api, eventually};
use serde_json::{Value, json};

fn workers(api: &Api) -> Vec<Value> {
    let reply = api.get("/v1/workers");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body["workers"].as_array().cloned().expect("workers")
}

#[test]
fn every_worker_shows_its_limits_and_what_it_did() {
    let api = Api::new();
    api.result(&api.submit_text("fine", &[]));
    // The API reads the metrics at most once a minute.
    let text = eventually("the text worker's metrics are read", || {
        let worker = workers(&api)
            .into_iter()
            .find(|worker| worker["name"] == "text-worker");
        worker.filter(|worker| worker["processed"].as_u64() > Some(0))
    });
    assert!(
        text["last_seen"].is_string() && text["mean_batch"].as_f64() >= Some(1.0),
        "{text}"
    );
    assert!(text["cold_starts"].as_u64() > Some(0), "{text}");
    let limits = text["limits"].as_object().expect("a limit of each lane");
    let lanes: BTreeSet<_> = limits.keys().map(String::as_str).collect();
    assert_eq!(lanes, ["small", "large", "high", "low"].into(), "{text}");
    let sum: u64 = limits.values().filter_map(Value::as_u64).sum();
    assert_eq!(
        (&limits["small"], &text["limit"]),
        (&json!(2), &json!(sum)),
        "{text}"
    );

    let names: BTreeSet<_> = workers(&api)
        .iter()
        .map(|worker| worker["name"].to_string())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let earlier = api.get("/workers").body;
    let earlier = earlier.as_array().expect("a list, as in the earlier system");
    assert_eq!(earlier.len(), 4, "{earlier:?}");
    assert!(
        earlier.iter().all(|worker| worker["status"] == "healthy"),
        "{earlier:?}"
    );
}

//! Texts of different types in one batch.

use mesh_tests::{Api, Lane};
use serde_json::json;

const STORY: &str = "The harbour froze over in the first week of January. Ferries stayed at their berths, and the fish \
                     market closed for want of fish. Engineers flew in an icebreaker's crew from the north. My cousin \
                     collects stamps from every country that begins with a vowel. By Sunday a channel was open, and \
                     the first ferry left the frozen harbour behind the icebreaker.";

mod serial {
    use super::*;

    #[test]
    fn a_batch_of_mixed_types_runs_as_one() {
        let api = Api::of_cloud();
        let ids = Lane::Text.paused(|| {
            [
                api.submit("sentiment", json!({ "text": "Splendid!" }), &[]),
                api.submit(
                    "classify",
                    json!({ "text": "Simmer the soup.", "labels": ["cooking", "chess"] }),
                    &[],
                ),
                api.submit("embed", json!({ "text": "soup" }), &[]),
                api.submit("summarize", json!({ "text": STORY }), &[]),
            ]
        });
        let tasks = ids.map(|id| api.finished(&id));
        let names = tasks
            .each_ref()
            .map(|task| task["model"]["name"].as_str().unwrap_or_default());
        assert_eq!(names[0], "minilm-sentiment");
        assert_eq!(names[1..], ["all-MiniLM-L6-v2"; 3]);
        assert_eq!(tasks[1]["result"]["label"], "cooking");
        let inference = |place: usize| &tasks[place]["timings"]["inference_ms"];
        assert!(
            inference(1) == inference(2) && inference(2) == inference(3),
            "the three tasks share one inference: {tasks:?}"
        );
        for task in &tasks {
            let version = task["model"]["version"].as_str().unwrap_or_default();
            assert!(
                version.len() == 12 && version.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{task}"
            );
            for timing in ["queued_ms", "load_ms", "inference_ms"] {
                assert!(task["timings"][timing].is_u64(), "{task}");
            }
        }
    }
}

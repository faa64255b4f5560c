//! Inputs that stop or kill the worker that runs them. They delay the other tasks of their batch, and cost them no attempt.
//!
//! The tests use the image lane, one at a time, so that each affects its own batch only.

use image::{DynamicImage, ImageFormat};
use mesh_tests::{Api, Lane, pictures};
use serde_json::json;

/// A picture that takes little time to run.
fn small() -> Vec<u8> {
    pictures::encode(&DynamicImage::new_rgb8(64, 64), ImageFormat::Png)
}

mod serial_image {
    use super::*;

    /// Submits ten tasks that are delivered together, the fifth of which requests a fault. The others have one attempt. Returns
    /// its id and the others'.
    fn submit_ten(api: &Api, fault: &str) -> (String, Vec<String>) {
        let image = pictures::base64(&small());
        let mut ids = Lane::Image.paused(|| {
            let submit = |n| {
                let mut task = json!({ "type": "face_detection", "input": { "image": image } });
                if n == 4 {
                    task["metadata"] = json!({ "fault": fault });
                } else {
                    task["max_attempts"] = json!(1);
                }
                api.post(&task).text("id").to_owned()
            };
            (0..10).map(submit).collect::<Vec<_>>()
        });
        (ids.remove(4), ids)
    }

    /// Asserts that all are completed by their only attempt, and that at least one was run before without spending it, which
    /// shows that the fault hit their batch.
    fn assert_others_complete(api: &Api, ids: &[String]) {
        let runs = ids.iter().map(|id| {
            let task = api.finished(id);
            assert_eq!(task["status"], "completed", "{task}");
            assert_eq!(task["result"]["count"], 0, "{task}");
            assert_eq!(
                (&task["attempt"], &task["max_attempts"]),
                (&json!(1), &json!(1)),
                "{task}"
            );
            let runs = task["attempts"].as_array().expect("a list");
            assert!(runs.len() <= 2, "after a crash the task runs isolated: {task}");
            runs.len()
        });
        let runs: Vec<_> = runs.collect();
        assert!(
            runs.iter().any(|runs| *runs > 1),
            "the fault did not affect the batch: {runs:?}"
        );
    }

    #[test]
    fn an_input_that_aborts_its_process_costs_the_rest_of_its_batch_no_attempt() {
        let api = Api::of_cloud();
        let (aborting, others) = submit_ten(&api, "abort");
        assert_others_complete(&api, &others);
        let task = api.show(&aborting);
        assert_ne!(task["status"], "completed", "{task}");
        assert!(task.get("result").is_none(), "{task}");
    }

    #[test]
    fn a_run_that_hangs_is_stopped_at_its_deadline_and_the_rest_of_its_batch_completes() {
        let api = Api::of_cloud();
        let (hanging, others) = submit_ten(&api, "hang");
        assert_others_complete(&api, &others);
        let task = api.failed(&hanging, "timeout", "timeout");
        assert_eq!(task["attempt"], 3, "{task}");
    }

    #[test]
    fn a_run_that_ignores_its_stop_ends_with_its_process() {
        let api = Api::of_cloud();
        let (ignoring, others) = submit_ten(&api, "deaf");
        assert_others_complete(&api, &others);
        let task = api.finished(&ignoring);
        // The worker writes the end just before its process ends. If that is too late, the task's lease expires.
        let is_expected = [("timeout", "timeout"), ("exhausted", "crashed")]
            .map(|(kind, code)| task["error"]["kind"] == kind && task["error"]["code"] == code);
        assert!(is_expected.contains(&true), "{task}");
        assert_eq!(task["attempt"], 3, "{task}");
        // The lane still works.
        api.result(&api.submit_image(&small(), &[]));
    }
}

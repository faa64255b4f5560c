//! Inputs that stop or kill the worker that runs them. They delay the other tasks of their batch, but do not fail them.
//!
//! The tests use the image lane, one at a time: with two such inputs at once another task could lose two attempts.

use image::{DynamicImage, ImageFormat};
use mesh_tests::{Api, Lane, pictures};

/// A picture that takes little time to run.
fn small() -> Vec<u8> {
    pictures::encode(&DynamicImage::new_rgb8(64, 64), ImageFormat::Png)
}

mod serial_image {
    use super::*;

    /// Submits ten tasks that are delivered together, the fifth of which requests a fault. Returns its id and the others'.
    fn submit_ten(api: &Api, fault: &str) -> (String, Vec<String>) {
        let file = small();
        let mut ids = Lane::Image.paused(|| {
            let fault_of = |n| {
                if n == 4 {
                    ("fault", fault)
                } else {
                    ("fault", "none")
                }
            };
            (0..10)
                .map(|n| api.submit_image(&file, &[fault_of(n)]))
                .collect::<Vec<_>>()
        });
        (ids.remove(4), ids)
    }

    /// Asserts that all are completed, and that at least one needed a second attempt, which shows that the fault hit their
    /// batch. None may have been in two workers that were killed: that costs one attempt, and a second for a run that was
    /// stopped with the others.
    fn assert_others_complete(api: &Api, ids: &[String]) {
        let attempts = ids.iter().map(|id| {
            let task = api.finished(id);
            assert_eq!(task["status"], "completed", "{task}");
            assert_eq!(task["result"]["count"], 0, "{task}");
            let attempts = task["attempts"].as_array().expect("a list");
            let lost = attempts.iter().filter(|attempt| attempt["outcome"] == "lost");
            assert!(lost.count() <= 1, "after a crash the task runs isolated: {task}");
            task["attempt"].as_u64().unwrap_or_default()
        });
        let attempts: Vec<_> = attempts.collect();
        assert!(
            attempts.iter().any(|attempt| *attempt > 1),
            "the fault did not affect the batch: {attempts:?}"
        );
    }

    #[test]
    fn an_input_that_aborts_its_process_does_not_fail_the_rest_of_its_batch() {
        let api = Api::new();
        let (aborting, others) = submit_ten(&api, "abort");
        assert_others_complete(&api, &others);
        let task = api.show(&aborting);
        assert_ne!(task["status"], "completed", "{task}");
        assert!(task.get("result").is_none(), "{task}");
    }

    #[test]
    fn a_run_that_hangs_is_stopped_at_its_deadline_and_the_rest_of_its_batch_completes() {
        let api = Api::new();
        let (hanging, others) = submit_ten(&api, "hang");
        assert_others_complete(&api, &others);
        let task = api.failed(&hanging, "timeout", "timeout");
        assert_eq!(task["attempt"], 3, "{task}");
    }

    #[test]
    fn a_run_that_ignores_its_stop_ends_with_its_process() {
        let api = Api::new();
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

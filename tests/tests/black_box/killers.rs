//! Inputs that stop or kill the worker that runs them. They cost their neighbours time, and nothing else.
//!
//! All of them run on the image lane, one test at a time: two killers at once would cost an innocent two attempts.

use image::{DynamicImage, ImageFormat};
use mesh_tests::{Api, Lane, pictures};

/// A picture that is quickly looked at.
fn small() -> Vec<u8> {
    pictures::encode(&DynamicImage::new_rgb8(64, 64), ImageFormat::Png)
}

mod serial_image {
    use super::*;

    /// Submits ten tasks that are delivered together, the fifth of which asks for a fault. Returns its id and the others'.
    fn ten_with_one(api: &Api, fault: &str) -> (String, Vec<String>) {
        let file = small();
        let mut ids = Lane::Image.held_back(|| {
            let note = |n| {
                if n == 4 {
                    ("fault", fault)
                } else {
                    ("fault", "none")
                }
            };
            (0..10)
                .map(|n| api.submit_image(&file, &[note(n)]))
                .collect::<Vec<_>>()
        });
        (ids.remove(4), ids)
    }

    /// All completed, and at least one of them needed a second attempt: so the fault did strike among them. None was in a
    /// worker that was killed more than once; to be cut off with the others costs time and perhaps one attempt more.
    fn assert_innocents_complete(api: &Api, ids: &[String]) {
        let attempts = ids.iter().map(|id| {
            let task = api.finished(id);
            assert_eq!(task["status"], "completed", "{task}");
            assert_eq!(task["result"]["count"], 0, "{task}");
            let attempts = task["attempts"].as_array().expect("a list");
            let lost = attempts.iter().filter(|attempt| attempt["outcome"] == "lost");
            assert!(lost.count() <= 1, "struck once, an innocent runs apart: {task}");
            task["attempt"].as_u64().unwrap_or_default()
        });
        let attempts: Vec<_> = attempts.collect();
        assert!(
            attempts.iter().any(|attempt| *attempt > 1),
            "the fault struck none of them: {attempts:?}"
        );
    }

    #[test]
    fn an_input_that_aborts_the_process_takes_no_neighbour_along() {
        let api = Api::new();
        let (killer, neighbours) = ten_with_one(&api, "abort");
        assert_innocents_complete(&api, &neighbours);
        let task = api.show(&killer);
        assert_ne!(task["status"], "completed", "{task}");
        assert!(task.get("result").is_none(), "{task}");
    }

    #[test]
    fn a_run_that_hangs_is_cut_off_at_its_deadline_and_holds_up_no_neighbour_for_good() {
        let api = Api::new();
        let (hanging, neighbours) = ten_with_one(&api, "hang");
        assert_innocents_complete(&api, &neighbours);
        let task = api.failed(&hanging, "timeout", "timeout");
        assert_eq!(task["attempt"], 3, "{task}");
    }

    #[test]
    fn a_run_that_does_not_even_heed_its_stop_ends_with_its_process() {
        let api = Api::new();
        let (deaf, neighbours) = ten_with_one(&api, "deaf");
        assert_innocents_complete(&api, &neighbours);
        let task = api.finished(&deaf);
        // Its end is written in the last moments of its process. Where that is too late it is known by its silence.
        let told = [("timeout", "timeout"), ("exhausted", "crashed")]
            .map(|(kind, code)| task["error"]["kind"] == kind && task["error"]["code"] == code);
        assert!(told.contains(&true), "{task}");
        assert_eq!(task["attempt"], 3, "{task}");
        // The lane works on.
        api.result(&api.submit_image(&small(), &[]));
    }
}

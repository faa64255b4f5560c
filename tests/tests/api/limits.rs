//! Attempts, timeouts and sizes: what a task may set, and the limits.

use mesh_tests::{Api, pictures, sentiment, sounds};
use serde_json::{Value, json};

#[test]
fn any_number_of_attempts_works_although_the_queue_allows_three_receives() {
    let api = Api::new();
    let submitted = [1, 2, 4, 10].map(|attempts| {
        let limits = || json!({ "max_attempts": attempts });
        let failing = api.submit_limited(limits(), &[("fault", "transient:99")]);
        let failing_but_last =
            api.submit_limited(limits(), &[("fault", &format!("transient:{}", attempts - 1))]);
        (attempts, failing, failing_but_last)
    });
    for (attempts, failing, failing_but_last) in submitted {
        let task = api.failed(&failing, "exhausted", "fault");
        assert_eq!(
            (&task["attempt"], &task["max_attempts"]),
            (&json!(attempts), &json!(attempts)),
            "{task}"
        );
        let outcomes: Vec<_> = task["attempts"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|attempt| &attempt["outcome"])
            .collect();
        assert_eq!(outcomes, vec!["transient"; attempts as usize], "{task}");
        api.completed(&failing_but_last, attempts);
    }
}

#[test]
fn limits_out_of_range_are_refused() {
    let api = Api::new();
    for (name, max, above) in [("max_attempts", 10, 11), ("timeout_seconds", 900, 901)] {
        for value in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("3"),
            json!(above),
            json!([]),
        ] {
            let mut body = sentiment("fine");
            body[name] = value;
            let detail = api.post(&body).problem(422, "invalid-limits");
            assert!(
                detail.contains(name) && detail.contains(&max.to_string()),
                "{detail}"
            );
        }
    }
}

#[test]
fn a_task_that_exceeds_its_own_timeout_is_stopped() {
    let api = Api::new();
    // A transcription, since the audio worker's function may run longest: the function's own timeout is not reached.
    let slow = api.post(&json!({
        "type": "transcribe", "input": { "audio": pictures::base64(&sounds::silence(1)) },
        "timeout_seconds": 1, "max_attempts": 2, "metadata": { "fault": "slow:60000" },
    }));
    let task = api.failed(slow.text("id"), "timeout", "timeout");
    assert_eq!(
        (&task["attempt"], &task["timeout_seconds"]),
        (&json!(2), &json!(1)),
        "{task}"
    );
    for attempt in task["attempts"].as_array().expect("a list") {
        assert_eq!(attempt["outcome"], "timeout", "{task}");
        let time = |name: &str| -> jiff::Timestamp {
            attempt[name]
                .as_str()
                .and_then(|time| time.parse().ok())
                .expect("a time")
        };
        let ran = time("ended_at").duration_since(time("started_at"));
        // The function's own timeout stops it after about 54 s.
        assert!(ran < jiff::SignedDuration::from_secs(30), "{ran} {task}");
    }
}

#[test]
fn throttling_uses_no_attempt() {
    let api = Api::new();
    let id = api.submit_limited(json!({ "max_attempts": 1 }), &[("fault", "throttle:4")]);
    let task = api.completed(&id, 1);
    let outcomes: Vec<_> = task["attempts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|attempt| &attempt["outcome"])
        .collect();
    assert_eq!(
        outcomes,
        ["throttled", "throttled", "throttled", "throttled", "completed"],
        "{task}"
    );
}

#[test]
fn a_result_too_large_for_the_item_is_an_object_with_a_link() {
    let api = Api::new();
    let file = pictures::encode(&image::DynamicImage::new_rgb8(64, 64), image::ImageFormat::Png);
    let id = api.submit_image(&file, &[("fault", "faces:2000")]);
    let task = api.finished(&id);
    assert_eq!(task["status"], "completed", "{task}");
    assert!(task.get("result").is_none(), "{task}");
    let link = &task["result_link"];
    assert!(
        link["bytes"].as_u64().is_some_and(|bytes| bytes > 32_768),
        "{link}"
    );
    // The link works without a token and without a signature of the caller's own.
    let got = ureq::get(link["url"].as_str().expect("a URL"))
        .call()
        .expect("the link works");
    let body = got.into_body().read_to_vec().expect("the object can be read");
    assert_eq!(body.len() as u64, link["bytes"].as_u64().unwrap_or_default());
    assert_eq!(
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&body)),
        link["sha256"].as_str().expect("a checksum")
    );
    let result: Value = serde_json::from_slice(&body).expect("the result is JSON");
    assert_eq!(
        (&result["count"], result["faces"].as_array().map(Vec::len)),
        (&json!(2000), Some(2000))
    );
}

#[test]
fn a_result_over_the_size_limit_fails_permanently() {
    let api = Api::new();
    let file = mesh_tests::pictures::encode(&image::DynamicImage::new_rgb8(64, 64), image::ImageFormat::Png);
    let id = api.submit_image(&file, &[("fault", "faces:65000")]);
    api.failed(&id, "permanent", "result_too_large");
}

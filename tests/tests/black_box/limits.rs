//! Attempts, timeouts and sizes: what a task may say of its own, and where the limits are.

use mesh_tests::{Api, Cloud, pictures, sentiment, sounds};
use serde_json::{Value, json};

#[test]
fn any_number_of_attempts_works_although_the_queue_allows_three_receives() {
    let api = Api::new();
    let submitted = [1, 2, 4, 10].map(|attempts| {
        let limits = || json!({ "max_attempts": attempts });
        let in_vain = api.submit_limited(limits(), &[("fault", "transient:99")]);
        let last_helps = api.submit_limited(limits(), &[("fault", &format!("transient:{}", attempts - 1))]);
        (attempts, in_vain, last_helps)
    });
    for (attempts, in_vain, last_helps) in submitted {
        let task = api.failed(&in_vain, "exhausted", "fault");
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
        assert_eq!(outcomes, vec!["transient"; attempts], "{task}");
        let task = api.finished(&last_helps);
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(attempts)),
            "{task}"
        );
    }
}

#[test]
fn limits_out_of_range_are_refused() {
    let api = Api::new();
    for (name, most, wrong) in [("max_attempts", 10, 11), ("timeout_seconds", 900, 901)] {
        for value in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("3"),
            json!(wrong),
            json!([]),
        ] {
            let mut body = sentiment("fine");
            body[name] = value;
            let detail = api.post(&body).problem(422, "invalid-limits");
            assert!(
                detail.contains(name) && detail.contains(&most.to_string()),
                "{detail}"
            );
        }
    }
}

#[test]
fn a_task_that_outlasts_its_own_timeout_is_cut_off_and_others_beside_it_are_not() {
    let api = Api::new();
    // Of the lane whose function may run longest, so that it is not that which cuts it off.
    let late = api.post(&json!({
        "type": "transcribe", "input": { "audio": pictures::base64(&sounds::silence(1)) },
        "timeout_seconds": 1, "max_attempts": 2, "metadata": { "fault": "slow:60000" },
    }));
    let task = api.failed(late.text("id"), "timeout", "timeout");
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
        // The function's own limit would have let it run for some 54.
        assert!(ran < jiff::SignedDuration::from_secs(30), "{ran} {task}");
    }
}

#[test]
fn being_throttled_spends_no_attempt() {
    let api = Api::new();
    let id = api.submit_limited(json!({ "max_attempts": 1 }), &[("fault", "throttle:4")]);
    let task = api.finished(&id);
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(1)),
        "{task}"
    );
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
fn a_result_too_large_for_the_item_is_an_object_behind_a_link() {
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
    // The link is all that is needed: no token, no signature of the caller's own.
    let got = ureq::get(link["url"].as_str().expect("an address"))
        .call()
        .expect("the link opens");
    let body = got.into_body().read_to_vec().expect("the object has an end");
    assert_eq!(body.len() as u64, link["bytes"].as_u64().unwrap_or_default());
    assert_eq!(
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&body)),
        link["sha256"].as_str().expect("a checksum")
    );
    let result: Value = serde_json::from_slice(&body).expect("it is JSON");
    assert_eq!(
        (&result["count"], result["faces"].as_array().map(Vec::len)),
        (&json!(2000), Some(2000))
    );
}

#[test]
fn a_result_too_large_for_anything_fails_for_good() {
    let api = Api::new();
    let file = mesh_tests::pictures::encode(&image::DynamicImage::new_rgb8(64, 64), image::ImageFormat::Png);
    let id = api.submit_image(&file, &[("fault", "faces:65000")]);
    api.failed(&id, "permanent", "result_too_large");
}

#[test]
fn calls_that_fail_while_an_end_is_written_lose_nothing() {
    let (api, cloud) = (Api::new(), Cloud::new());
    // Half of the answers get lost on the way: the client sends those calls again by itself, and knows its own write.
    let ids: Vec<_> = (0..20)
        .map(|_| api.submit_text("fine", &[("fault", "call:UpdateItem=resend:0.5")]))
        .collect();
    for id in ids {
        let task = api.finished(&id);
        assert_eq!(
            (&task["status"], &task["attempt"]),
            (&json!("completed"), &json!(1)),
            "{task}"
        );
        assert_eq!(cloud.item(&id)["fence"].as_n().map(String::as_str), Ok("1"));
    }
    // Its end landed, and nobody heard of it: the next delivery finds it there.
    let id = api.submit_text("fine", &[("fault", "call:UpdateItem=after")]);
    let task = api.finished(&id);
    assert_eq!(
        (&task["status"], &task["attempt"]),
        (&json!("completed"), &json!(1)),
        "{task}"
    );
    // Its end never lands, three times over: the attempts are spent, and the task says so.
    let id = api.submit_text("fine", &[("fault", "call:UpdateItem=before")]);
    let task = api.failed(&id, "exhausted", "crashed");
    assert_eq!(task["attempt"], 3, "{task}");
    assert!(task.get("result").is_none(), "{task}");
}

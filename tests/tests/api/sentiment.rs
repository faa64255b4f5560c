//! Sentiment analysis, and what applies to all tasks with a text.

use std::thread;

use mesh_tests::{Api, sentiment, setting};
use serde_json::json;
use sha2::{Digest, Sha256};

const PRAISE: &str = "What a wonderful film: warm, funny and beautifully acted. I loved every minute of it.";
const SCORN: &str = "A dreadful, boring mess. I hated it and want those two hours of my life back.";

#[test]
fn a_sentence_of_praise_is_positive_and_one_of_scorn_is_negative() {
    let api = Api::new();
    let texts = [(PRAISE, "POSITIVE"), (SCORN, "NEGATIVE")];
    for (id, label) in texts.map(|(text, label)| (api.submit_text(text, &[]), label)) {
        let result = api.result(&id);
        assert_eq!(result["label"], label, "{result}");
        let score = result["score"].as_f64().expect("a score is a number");
        assert!(
            (0.5..=1.0).contains(&score),
            "the sentiment of the text is clear: {result}"
        );
    }
}

#[test]
fn a_task_shows_its_request_and_its_result_and_nothing_else() {
    let api = Api::new();
    let metadata = json!({ "order": "4711", "note": "über 9 €" });
    let accepted =
        api.post(&json!({ "type": "sentiment", "input": { "text": PRAISE }, "metadata": metadata }));
    assert_eq!(accepted.status, 202);
    let id = accepted.text("id");
    assert_eq!(
        accepted.body,
        json!({
            "id": id,
            "type": "sentiment",
            "status": "pending",
            "links": {
                "self": format!("/v1/tasks/{id}"),
                "wait": format!("/v1/tasks/{id}?wait=20"),
                "events": format!("{}v1/tasks/{id}/events", setting("EVENTS_URL")),
            },
        })
    );

    let task = api.finished(id);
    let time = |name: &str| -> jiff::Timestamp {
        let written = task[name]
            .as_str()
            .unwrap_or_else(|| panic!("no time {name} in {task}"));
        written
            .parse()
            .unwrap_or_else(|error| panic!("{name} is not an RFC 3339 time ({error}): {task}"))
    };
    let (created, updated) = (time("created_at"), time("updated_at"));
    assert!(created < updated, "{task}");
    assert!(
        jiff::Timestamp::now().duration_since(created) < jiff::SignedDuration::from_mins(5),
        "{task}"
    );
    assert_eq!(
        task,
        json!({
            "id": id,
            "type": "sentiment",
            "size": "small",
            "priority": "normal",
            "correlation_id": accepted.header("x-request-id"),
            "status": "completed",
            "input": { "text": PRAISE },
            "metadata": metadata,
            "result": task["result"],
            "model": task["model"],
            "timings": task["timings"],
            "generation": 1,
            "attempt": 1,
            "max_attempts": 3,
            "attempts": [{
                "generation": 1,
                "started_at": task["attempts"][0]["started_at"],
                "ended_at": task["updated_at"],
                "outcome": "completed",
            }],
            "created_at": task["created_at"],
            "updated_at": task["updated_at"],
        })
    );
    assert_eq!(api.show(id), task, "a final task does not change");
}

#[test]
fn each_of_many_texts_gets_its_own_result() {
    let api = Api::new();
    let texts: Vec<_> = (0..30)
        .map(|n| {
            let (text, label) = if n % 3 == 0 {
                (SCORN, "NEGATIVE")
            } else {
                (PRAISE, "POSITIVE")
            };
            // Texts of different lengths, since a batch is sorted by length before its inference.
            (format!("{}{text}", "Number ".repeat(n % 7)), label)
        })
        .collect();
    let ids: Vec<_> = texts.iter().map(|(text, _)| api.submit_text(text, &[])).collect();
    for (id, (text, label)) in ids.iter().zip(&texts) {
        let task = api.finished(id);
        assert_eq!(
            (&task["input"]["text"], &task["result"]["label"]),
            (&json!(text), &json!(label)),
            "{task}"
        );
    }
}

#[test]
fn fifty_submissions_at_once_are_all_accepted_and_completed() {
    let api = Api::new();
    let ids = thread::scope(|scope| {
        let clients: Vec<_> = (0..50)
            .map(|_| scope.spawn(|| api.submit_text(PRAISE, &[])))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("accepted"))
            .collect::<Vec<_>>()
    });
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 50);
    for id in &ids {
        assert_eq!(api.result(id)["label"], "POSITIVE");
    }
}

#[test]
fn a_text_too_large_for_the_table_is_stored_as_an_object() {
    let api = Api::new();
    let text = format!("{PRAISE} {}", "And the music was a delight, too. ".repeat(150));
    let id = api.submit_text(&text, &[]);
    let task = api.finished(&id);
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["result"]["label"], "POSITIVE", "{task}");
    let object = &task["input"]["object"];
    assert_eq!(object["bytes"], text.len(), "{task}");
    assert_eq!(object["content_type"], "text/plain; charset=utf-8", "{task}");
    assert_eq!(object["sha256"], hex::encode(Sha256::digest(&text)), "{task}");
    let key = object["key"].as_str().expect("a key");
    assert!(
        key.contains(&id) && key.contains("default"),
        "the key contains the tenant and the task's id: {key}"
    );
}

#[test]
fn the_longest_text_and_the_shortest_complete() {
    let api = Api::new();
    let longest = "good ".repeat(200_000);
    assert_eq!(longest.len(), 1_000_000);
    for text in [longest.as_str(), "a"] {
        api.result(&api.submit_text(text, &[]));
    }
}

#[test]
fn a_text_in_any_script_completes() {
    let api = Api::new();
    let texts = [
        "這部電影太棒了",
        "👍👍🏽🎉",
        "أحببت هذا الفيلم",
        "a\u{0}b\u{7f}\u{202e}c",
        "\u{feff}fine",
        "Ünïcödé \r\n\t text",
    ];
    for id in texts.map(|text| api.submit_text(text, &[])) {
        let result = api.result(&id);
        let score = result["score"].as_f64().expect("a score is a number");
        assert!((0.0..=1.0).contains(&score), "{result}");
    }
}

#[test]
fn metadata_up_to_its_limits_is_returned() {
    let api = Api::new();
    let mut body = sentiment("fine");
    body["metadata"] = (0..10)
        .map(|n| (format!("key-{n}"), json!("v".repeat(97))))
        .collect();
    let bytes: usize = (0..10).map(|n| format!("key-{n}").len() + 97).sum();
    assert!(
        (1_000..=1_024).contains(&bytes),
        "the metadata is close to the limit: {bytes}"
    );
    let reply = api.post(&body);
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(api.show(reply.text("id"))["metadata"], body["metadata"]);
}

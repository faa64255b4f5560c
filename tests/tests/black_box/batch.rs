//! Many tasks in one request: each is taken or refused by itself, and a repeat under the same key makes none twice.

use std::collections::BTreeSet;
use std::thread;

use mesh_tests::{Api, Cloud, Lane, Reply, eventually, sentiment};
use serde_json::{Value, json};

const NO_FAULT: &str = "";
const PATH: &str = "/v1/tasks/batch";

/// A key that no other test, and no earlier run, has used.
fn fresh_key() -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{}-{now}", thread::current().name().unwrap_or_default())
}

/// A batch whose tasks can be found again in the table.
fn noted(note: &str, tasks: usize) -> Value {
    let task = |n: usize| {
        let mut task = sentiment(&format!("fine, {n} times over"));
        task["metadata"] = json!({ "note": note });
        task
    };
    json!({ "tasks": (0..tasks).map(task).collect::<Vec<_>>() })
}

fn post(api: &Api, key: &str, body: &Value, faults: &str) -> Reply {
    let headers = [
        ("x-service-token", api.token()),
        ("content-type", "application/json"),
        ("idempotency-key", key),
        ("x-ai-mesh-fault", faults),
    ];
    api.send("POST", PATH, &headers, Some(body.to_string().as_bytes()))
}

fn results(reply: &Reply) -> &[Value] {
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.body["results"].as_array().expect("a list")
}

/// The ids of a batch of which every task was accepted.
fn ids(reply: &Reply) -> Vec<String> {
    let id = |result: &Value| {
        assert_eq!(result["status"], 202, "{result}");
        result["task"]["id"].as_str().expect("an id is text").to_owned()
    };
    results(reply).iter().map(id).collect()
}

#[test]
fn each_entry_is_answered_as_a_request_of_its_own_would_be() {
    let api = Api::new();
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!({ "type": "telepathy", "input": {} }),
        json!({ "type": "sentiment", "input": { "text": "" } }),
        json!({ "type": "sentiment", "input": { "text": "fine" }, "max_attempts": 0 }),
        json!({ "type": "sentiment", "input": { "text": "fine" }, "metadata": [] }),
        json!({ "type": "ocr", "input": { "image": "bm8gcGljdHVyZQ==" } }),
        json!({ "type": "ocr", "input": { "upload": "01900000-0000-7000-8000-000000000000" } }),
        json!({ "type": "data_extraction", "input": { "text": "fine", "schema": { "type": 1 } } }),
        json!({ "type": "summarize", "input": { "text": "fine", "ratio": 1e-200 } }),
    ];
    let large = "What a wonderful film. ".repeat(300);
    let mut tasks = Vec::new();
    for odd in &odd {
        tasks.extend([odd.clone(), sentiment(&large), sentiment("fine")]);
    }
    let reply = api.post_to(PATH, Some(&json!({ "tasks": tasks })));
    let results = results(&reply);
    assert_eq!(results.len(), tasks.len());
    for (task, result) in tasks.iter().zip(results) {
        let alone = api.post(task);
        assert_eq!(result["status"], alone.status, "{task}: {result}");
        if alone.status == 202 {
            let id = result["task"]["id"].as_str().expect("an id is text");
            let taken = |body: &Value| (body["type"].clone(), body["status"].clone());
            assert_eq!(taken(&result["task"]), taken(&alone.body), "{result}");
            assert_eq!(
                result["task"]["links"]["self"],
                format!("/v1/tasks/{id}"),
                "{result}"
            );
            api.result(id);
        } else {
            let mut expected = alone.body.clone();
            expected["request_id"] = json!(reply.header("x-request-id"));
            assert_eq!(result["problem"], expected, "{task}");
        }
    }
    let objects = results[1]["task"]["id"].as_str().map(|id| api.show(id));
    let objects = objects.expect("a large text was accepted");
    assert!(
        objects["input"]["object"]["bytes"].as_u64() > Some(4_096),
        "{objects}"
    );
}

#[test]
fn what_is_no_batch_is_refused() {
    let api = Api::new();
    for body in [
        json!([]),
        json!({}),
        json!({ "tasks": [] }),
        json!({ "tasks": {} }),
        json!({ "tasks": [sentiment("fine")], "priority": 1 }),
        json!({ "tasks": vec![json!(0); 1_001] }),
        sentiment("fine"),
    ] {
        let detail = api.post_to(PATH, Some(&body)).problem(422, "invalid-batch");
        assert!(detail.contains("1 to 1000"), "{detail}");
    }
    let text = "fine ".repeat(180_000);
    let many = json!({ "tasks": vec![sentiment(&text); 7] });
    api.post_to(PATH, Some(&many)).problem(413, "payload-too-large");
    api.send("POST", PATH, &[], Some(b"{}"))
        .problem(401, "unauthorized");
    api.get(PATH).problem(405, "method-not-allowed");
}

#[test]
fn the_same_key_twice_at_once_is_one_batch() {
    let (api, cloud, key) = (Api::new(), Cloud::new(), fresh_key());
    let body = noted(&key, 30);
    let sent: BTreeSet<_> = thread::scope(|scope| {
        let send = || ids(&post(&api, &key, &body, NO_FAULT));
        let sent: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        let ids = sent.into_iter().map(|ids| ids.join().expect("it is accepted"));
        ids.collect()
    });
    assert_eq!(sent.len(), 1, "all were answered the same ids");
    for id in sent.iter().flatten() {
        let task = api.finished(id);
        assert_eq!(
            (&task["status"], &task["attempt"], &task["generation"]),
            (&json!("completed"), &json!(1), &json!(1)),
            "{task}"
        );
        // Four requests have written it, and none of them over what a worker wrote.
        assert_eq!(cloud.item(id)["fence"].as_n().map(String::as_str), Ok("1"));
    }
    assert_eq!(cloud.noted("note", &key).len(), 30);
    let mut other = body.clone();
    other["tasks"][29]["input"]["text"] = json!("not fine");
    post(&api, &key, &other, NO_FAULT).problem(422, "idempotency-key-reused");
    let again = post(&api, &key, &body, NO_FAULT);
    assert_eq!(sent.first(), Some(&ids(&again)));
    assert!(
        results(&again)
            .iter()
            .all(|result| result["task"]["status"] == "completed")
    );
}

#[test]
fn a_batch_in_which_nothing_can_be_kept_leaves_its_key_free() {
    let (api, key) = (Api::new(), fresh_key());
    let refused = post(&api, &key, &json!({ "tasks": [sentiment("")] }), NO_FAULT);
    assert_eq!(results(&refused)[0]["status"], 422, "{refused:?}");
    ids(&post(
        &api,
        &key,
        &json!({ "tasks": [sentiment("fine")] }),
        NO_FAULT,
    ));
}

/// Repeats a batch until all of it is accepted, and waits for its tasks.
fn completed(api: &Api, cloud: &Cloud, key: &str, body: &Value) {
    let tasks = body["tasks"].as_array().map_or(0, Vec::len);
    let ids = eventually("the batch is accepted", || {
        let reply = post(api, key, body, NO_FAULT);
        let all = |results: &[Value]| results.iter().all(|result| result["status"] == 202);
        (reply.status == 202 && all(results(&reply))).then(|| ids(&reply))
    });
    for id in &ids {
        api.result(id);
    }
    let found: BTreeSet<_> = cloud
        .noted("note", key)
        .iter()
        .map(|item| item["id"].as_s().cloned().expect("an id is text"))
        .collect();
    assert_eq!(found, ids.into_iter().collect(), "none beside them");
    assert_eq!(found.len(), tasks);
}

#[test]
fn a_batch_whose_process_died_among_its_writes_is_completed_by_the_next() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let (key, body) = eventually("a process dies in the middle", || {
        let key = fresh_key();
        let body = noted(&key, 30);
        let cut_off = post(&api, &key, &body, "PutItem=abort:0.06");
        let written = cloud.noted("note", &key).len();
        (cut_off.status >= 500 && (1..30).contains(&written)).then_some((key, body))
    });
    completed(&api, &cloud, &key, &body);
}

#[test]
fn what_was_written_and_not_rung_for_is_reported_and_rung_for_by_the_next() {
    let (api, cloud) = (Api::new(), Cloud::new());
    for fault in [
        "SendMessageBatch=before:0.5",
        "SendMessageBatch=after:0.5",
        "SendMessageBatch=abort",
    ] {
        let key = fresh_key();
        let body = noted(&key, 30);
        let cut_off = post(&api, &key, &body, fault);
        if cut_off.status == 202 {
            for result in results(&cut_off) {
                let is_problem = result["problem"]["type"] == "urn:ai-mesh:problem:unavailable";
                assert_eq!(result["status"] == 503, is_problem, "{result}");
            }
        }
        assert_eq!(cloud.noted("note", &key).len(), 30, "{fault}");
        completed(&api, &cloud, &key, &body);
    }
}

#[test]
fn without_a_key_what_could_not_be_written_is_reported_entry_by_entry() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let (note, reply) = eventually("one call of several fails", || {
        let note = fresh_key();
        let headers = [
            ("x-service-token", api.token()),
            ("x-ai-mesh-fault", "BatchWriteItem=before:0.4"),
        ];
        let body = noted(&note, 100).to_string();
        let reply = api.send("POST", PATH, &headers, Some(body.as_bytes()));
        let refused = results(&reply)
            .iter()
            .filter(|result| result["status"] == 503)
            .count();
        (1..100).contains(&refused).then_some((note, reply))
    });
    let accepted: BTreeSet<_> = results(&reply)
        .iter()
        .filter_map(|result| result["task"]["id"].as_str().map(str::to_owned))
        .collect();
    let written: BTreeSet<_> = cloud
        .noted("note", &note)
        .iter()
        .map(|item| item["id"].as_s().cloned().expect("an id is text"))
        .collect();
    assert_eq!(
        written, accepted,
        "what was accepted was written, and nothing else"
    );
    for id in &accepted {
        api.result(id);
    }
}

mod serial {
    use super::*;

    #[test]
    fn a_thousand_are_taken_at_once() {
        let (api, cloud, note) = (Api::new(), Cloud::new(), fresh_key());
        let ids = Lane::Text.held_back(|| {
            let ids = ids(&post(&api, &fresh_key(), &noted(&note, 1_000), NO_FAULT));
            assert!(ids.is_sorted(), "the last is the newest");
            assert_eq!(cloud.noted("note", &note).len(), 1_000);
            let unkeyed = super::ids(&api.post_to(PATH, Some(&noted(&note, 1_000))));
            let stored: BTreeSet<_> = ids.iter().chain(&unkeyed).collect();
            assert_eq!(stored.len(), 2_000);
            assert_eq!(cloud.noted("note", &note).len(), 2_000);
            assert!(
                cloud.messages(&Lane::Text.queue_url()) >= 2_000,
                "each has its message"
            );
            // A few of them are enough to run.
            cloud.forget(&ids[10..]);
            cloud.forget(&unkeyed[..990]);
            [&ids[..10], &unkeyed[990..]].concat()
        });
        for id in &ids {
            api.result(id);
        }
    }
}

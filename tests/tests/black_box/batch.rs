//! Many tasks in one request: each is accepted or refused by itself, and a repeat under the same key creates no task twice.

use std::collections::BTreeSet;
use std::thread;

use mesh_tests::{Api, Cloud, Lane, Reply, clients, eventually, sentiment};
use serde_json::{Value, json};

const NO_FAULT: &str = "";
const PATH: &str = "/v1/tasks/batch";

/// A key that is unique to this test and this run.
fn fresh_key() -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{}-{now}", thread::current().name().unwrap_or_default())
}

/// A batch whose tasks can be found in the table by their metadata.
fn batch_with_note(note: &str, tasks: usize) -> Value {
    let task = |n: usize| {
        let mut task = sentiment(&format!("fine, number {n}"));
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

/// The ids of a batch's tasks, all of which must be accepted.
fn ids(reply: &Reply) -> Vec<String> {
    let id = |result: &Value| {
        assert_eq!(result["status"], 202, "{result}");
        result["task"]["id"].as_str().expect("an id is text").to_owned()
    };
    results(reply).iter().map(id).collect()
}

#[test]
fn each_entry_is_answered_like_a_single_submission() {
    let api = Api::new();
    let invalid = [
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
    for task in &invalid {
        tasks.extend([task.clone(), sentiment(&large), sentiment("fine")]);
    }
    let reply = api.post_to(PATH, Some(&json!({ "tasks": tasks })));
    let results = results(&reply);
    assert_eq!(results.len(), tasks.len());
    for (task, result) in tasks.iter().zip(results) {
        let single = api.post(task);
        assert_eq!(result["status"], single.status, "{task}: {result}");
        if single.status == 202 {
            let id = result["task"]["id"].as_str().expect("an id is text");
            let type_and_status = |body: &Value| (body["type"].clone(), body["status"].clone());
            assert_eq!(
                type_and_status(&result["task"]),
                type_and_status(&single.body),
                "{result}"
            );
            assert_eq!(
                result["task"]["links"]["self"],
                format!("/v1/tasks/{id}"),
                "{result}"
            );
            api.result(id);
        } else {
            let mut expected = single.body.clone();
            expected["request_id"] = json!(reply.header("x-request-id"));
            assert_eq!(result["problem"], expected, "{task}");
        }
    }
    let large = results[1]["task"]["id"].as_str().map(|id| api.show(id));
    let large = large.expect("a large text was accepted");
    assert!(
        large["input"]["object"]["bytes"].as_u64() > Some(4_096),
        "{large}"
    );
}

#[test]
fn a_body_that_is_not_a_batch_is_refused() {
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
fn concurrent_requests_with_one_key_create_one_batch() {
    let (api, cloud, key) = (Api::new(), Cloud::new(), fresh_key());
    let body = batch_with_note(&key, 30);
    let sent: BTreeSet<_> = thread::scope(|scope| {
        let send = || ids(&post(&api, &key, &body, NO_FAULT));
        let sent: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        let ids = sent
            .into_iter()
            .map(|ids| ids.join().expect("the batch is accepted"));
        ids.collect()
    });
    assert_eq!(sent.len(), 1, "all responses have the same ids");
    for id in sent.iter().flatten() {
        let task = api.finished(id);
        assert_eq!(
            (&task["status"], &task["attempt"], &task["generation"]),
            (&json!("completed"), &json!(1), &json!(1)),
            "{task}"
        );
        // Four requests wrote the task. None of them overwrote what a worker wrote.
        assert_eq!(cloud.item(id)["fence"].as_n().map(String::as_str), Ok("1"));
    }
    assert_eq!(cloud.items_with_metadata("note", &key).len(), 30);
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
fn a_batch_without_a_valid_task_leaves_its_key_free() {
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

/// Repeats a batch until all its tasks are accepted, and waits until they are completed.
fn repeat_until_completed(api: &Api, cloud: &Cloud, key: &str, body: &Value) {
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
        .items_with_metadata("note", key)
        .iter()
        .map(|item| item["id"].as_s().cloned().expect("an id is text"))
        .collect();
    assert_eq!(
        found,
        ids.into_iter().collect(),
        "the table contains no other task of the batch"
    );
    assert_eq!(found.len(), tasks);
}

#[test]
fn a_batch_whose_process_died_between_its_writes_is_completed_by_a_repeat() {
    let (api, cloud) = clients();
    let (key, body) = eventually("the API's process dies between two writes", || {
        let key = fresh_key();
        let body = batch_with_note(&key, 30);
        let cut_off = post(&api, &key, &body, "PutItem=abort:0.06");
        let written = cloud.items_with_metadata("note", &key).len();
        (cut_off.status >= 500 && (1..30).contains(&written)).then_some((key, body))
    });
    repeat_until_completed(&api, &cloud, &key, &body);
}

#[test]
fn tasks_whose_messages_were_not_sent_are_reported_and_requeued_by_a_repeat() {
    let (api, cloud) = clients();
    for fault in [
        "SendMessageBatch=before:0.5",
        "SendMessageBatch=after:0.5",
        "SendMessageBatch=abort",
    ] {
        let key = fresh_key();
        let body = batch_with_note(&key, 30);
        let cut_off = post(&api, &key, &body, fault);
        if cut_off.status == 202 {
            for result in results(&cut_off) {
                let is_problem = result["problem"]["type"] == "urn:ai-mesh:problem:unavailable";
                assert_eq!(result["status"] == 503, is_problem, "{result}");
            }
        }
        assert_eq!(cloud.items_with_metadata("note", &key).len(), 30, "{fault}");
        repeat_until_completed(&api, &cloud, &key, &body);
    }
}

#[test]
fn without_a_key_each_task_that_could_not_be_written_is_reported() {
    let (api, cloud) = clients();
    let (note, reply) = eventually("some of the calls fail", || {
        let note = fresh_key();
        let headers = [
            ("x-service-token", api.token()),
            ("x-ai-mesh-fault", "BatchWriteItem=before:0.4"),
        ];
        let body = batch_with_note(&note, 100).to_string();
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
        .items_with_metadata("note", &note)
        .iter()
        .map(|item| item["id"].as_s().cloned().expect("an id is text"))
        .collect();
    assert_eq!(written, accepted, "exactly the accepted tasks were written");
    for id in &accepted {
        api.result(id);
    }
}

mod serial {
    use super::*;

    #[test]
    fn a_thousand_tasks_are_accepted_at_once() {
        let (api, cloud, note) = (Api::new(), Cloud::new(), fresh_key());
        let ids = Lane::Text.paused(|| {
            let ids = ids(&post(
                &api,
                &fresh_key(),
                &batch_with_note(&note, 1_000),
                NO_FAULT,
            ));
            assert!(ids.is_sorted(), "the ids are in the order of the batch");
            assert_eq!(cloud.items_with_metadata("note", &note).len(), 1_000);
            let unkeyed = super::ids(&api.post_to(PATH, Some(&batch_with_note(&note, 1_000))));
            let stored: BTreeSet<_> = ids.iter().chain(&unkeyed).collect();
            assert_eq!(stored.len(), 2_000);
            assert_eq!(cloud.items_with_metadata("note", &note).len(), 2_000);
            assert!(
                cloud.message_count(&Lane::Text.queue_url()) >= 2_000,
                "each task has a message"
            );
            // Only a few of them need to run.
            cloud.delete_tasks(&ids[10..]);
            cloud.delete_tasks(&unkeyed[..990]);
            [&ids[..10], &unkeyed[990..]].concat()
        });
        for id in &ids {
            api.result(id);
        }
    }
}

//! Many tasks in one request: each is accepted or refused by itself, and a repeat under the same key creates no task twice.

use std::collections::BTreeSet;
use std::thread;

use mesh_tests::batch::{PATH, ids, post, results, with_note};
use mesh_tests::{Api, fresh_key, sentiment};
use serde_json::{Value, json};

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
    let (api, key) = (Api::new(), fresh_key());
    let body = with_note(&key, 30);
    let sent: BTreeSet<_> = thread::scope(|scope| {
        let send = || ids(&post(&api, &key, &body));
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
        assert_eq!(task["attempts"].as_array().map(Vec::len), Some(1), "{task}");
    }
    assert_eq!(api.ids_with_metadata("note", &key).len(), 30);
    let mut other = body.clone();
    other["tasks"][29]["input"]["text"] = json!("not fine");
    post(&api, &key, &other).problem(422, "idempotency-key-reused");
    let again = post(&api, &key, &body);
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
    let refused = post(&api, &key, &json!({ "tasks": [sentiment("")] }));
    assert_eq!(results(&refused)[0]["status"], 422, "{refused:?}");
    ids(&post(&api, &key, &json!({ "tasks": [sentiment("fine")] })));
}

//! Batches whose requests were cut off among their writes or messages, and large ones.

use std::collections::BTreeSet;

use mesh_tests::batch::{self, PATH, ids, post, results, with_note};
use mesh_tests::{Api, Cloud, Lane, clients, eventually, fresh_key};
use serde_json::Value;

/// Repeats a batch until all its tasks are accepted, and waits until they are completed.
fn repeat_until_completed(api: &Api, cloud: &Cloud, key: &str, body: &Value) {
    let tasks = body["tasks"].as_array().map_or(0, Vec::len);
    let ids = eventually("the batch is accepted", || {
        let reply = post(api, key, body);
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
        let body = with_note(&key, 30);
        let cut_off = batch::post_with_faults(&api, &key, &body, "PutItem=abort:0.06");
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
        let body = with_note(&key, 30);
        let cut_off = batch::post_with_faults(&api, &key, &body, fault);
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
        let body = with_note(&note, 100).to_string();
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
        let (api, cloud, note) = (Api::of_cloud(), Cloud::new(), fresh_key());
        let ids = Lane::Text.paused(|| {
            let ids = ids(&post(&api, &fresh_key(), &with_note(&note, 1_000)));
            assert!(ids.is_sorted(), "the ids are in the order of the batch");
            assert_eq!(cloud.items_with_metadata("note", &note).len(), 1_000);
            let unkeyed = batch::ids(&api.post_to(PATH, Some(&with_note(&note, 1_000))));
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

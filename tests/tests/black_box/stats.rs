//! What is promised of the counters: they come to what the table holds, and whatever is repeated counts once.

use std::collections::BTreeMap;

use mesh_stats::Counts;
use mesh_task::{Lane, Status, TaskId, TaskType, Tenant};
use mesh_tests::{Api, Cloud, eventually, stream};
use serde_json::{Value, json};

/// No other test's tasks are many of these.
const TYPES: [&str; 2] = ["embed", "summarize"];

fn completed(count: i64) -> Counts {
    let mut counts = Counts::default();
    counts.add(TaskType::Sentiment, Status::Completed, count);
    counts
}

fn stats(api: &Api) -> Value {
    let reply = api.get("/v1/stats");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body
}

/// Tasks by type and status, as a scan of the table finds them.
fn truth(cloud: &Cloud) -> BTreeMap<String, u64> {
    let mut truth = BTreeMap::new();
    for item in cloud.items().expect("the table can be scanned") {
        if let (Some(task_type), Some(status)) = (item["type"].as_str(), item["status"].as_str())
            && TYPES.contains(&task_type)
        {
            *truth.entry(format!("{task_type} {status}")).or_default() += 1;
        }
    }
    truth
}

/// The same, as the counters tell it.
fn told(api: &Api) -> BTreeMap<String, u64> {
    let stats = stats(api);
    let mut told = BTreeMap::new();
    for task_type in TYPES {
        for (status, count) in stats["by_type"][task_type].as_object().into_iter().flatten() {
            let count = count.as_u64().expect("a count is no less than zero");
            if count > 0 {
                told.insert(format!("{task_type} {status}"), count);
            }
        }
    }
    told
}

fn agree(api: &Api, cloud: &Cloud) -> BTreeMap<String, u64> {
    eventually("the counters come to what the table holds", || {
        let truth = truth(cloud);
        (told(api) == truth).then_some(truth)
    })
}

#[test]
fn serial_after_a_burst_the_counters_tell_what_the_table_holds_and_a_rebuild_mends_them() {
    let (api, cloud) = (Api::new(), Cloud::new());
    let before = agree(&api, &cloud);
    let text = json!({ "text": "One fine day. Another came. The third was the last." });
    let mut ids = Vec::new();
    for round in 0..12 {
        let fault: &[_] = match round % 4 {
            0 => &[("fault", "panic")],
            1 => &[("fault", "transient:1")],
            _ => &[],
        };
        for task_type in TYPES {
            let id = api.submit(task_type, text.clone(), fault);
            if round % 4 == 3 {
                // Too late for some.
                api.cancel(&id);
            }
            ids.push(id);
        }
    }
    for id in &ids {
        api.finished(id);
    }
    let after = agree(&api, &cloud);
    assert_eq!(
        after.values().sum::<u64>(),
        before.values().sum::<u64>() + 24,
        "{after:?}"
    );
    assert!(
        after["embed failed"] >= before.get("embed failed").unwrap_or(&0) + 3,
        "{after:?}"
    );
    let stats = stats(&api);
    assert!(
        stats["per_minute"]["submitted"]["last_15"].as_f64() >= Some(24.0 / 15.0),
        "{stats}"
    );
    for times in ["queue_wait_ms", "run_ms"] {
        assert!(
            stats[times]["p50"].as_u64() <= stats[times]["p95"].as_u64(),
            "{stats}"
        );
        assert!(stats[times]["count"].as_u64() > Some(0), "{stats}");
    }
    let queues = stats["queues"].as_array().into_iter().flatten();
    let names: Vec<_> = queues.map(|queue| queue["name"].to_string()).collect();
    let lanes: Vec<_> = Lane::all().map(|lane| format!("\"{lane}\"")).collect();
    assert_eq!(names, lanes, "{stats}");

    // As when their time is over.
    cloud.forget(&ids[..6]);
    let fewer = agree(&api, &cloud);
    assert_eq!(fewer.values().sum::<u64>(), after.values().sum::<u64>() - 6);

    // As if records had been lost.
    let names = [("#type", "embed"), ("#version", "version")];
    let update = "SET counts.#type.failed = counts.#type.failed + :value, #version = #version + :value";
    cloud.edit_stats(&Tenant::first(), 0, update, &names, 1_000);
    assert!(told(&api)["embed failed"] > 1_000);
    let rebuilt = cloud.rebuild_stats().expect("it can be counted anew");
    assert!(rebuilt["tasks"].as_u64() >= Some(18), "{rebuilt}");
    agree(&api, &cloud);
}

#[test]
fn a_batch_that_is_repeated_or_cut_in_half_counts_once() {
    let (cloud, tenant) = (Cloud::new(), stream::stranger("repeated"));
    let ids: Vec<_> = (0..10).map(|_| TaskId::generate()).collect();
    let lives = ids.iter().zip((1_000..).step_by(3));
    let batch: Vec<_> = lives
        .flat_map(|(id, first)| stream::life(&tenant, *id, first))
        .collect();
    for part in [&batch[..], &batch, &batch[..15], &batch[15..], &batch[7..]] {
        cloud.react(part);
        assert_eq!(cloud.book(&tenant).counts, completed(10));
    }
    assert_eq!(cloud.book(&tenant).last, 30, "each change is logged once");
    let removal = [stream::removal(&tenant, ids[3], 2_000)];
    for _ in 0..2 {
        cloud.react(&removal);
    }
    assert_eq!(cloud.book(&tenant).counts, completed(9));
}

#[test]
fn shards_side_by_side_count_all_they_have_whatever_their_numbers() {
    let (cloud, tenant) = (Cloud::new(), stream::stranger("shards"));
    // Numbers of different shards mean nothing to each other, and each batch has tasks in every sixteenth.
    let shards: Vec<Vec<_>> = [10_u128.pow(37), 500, 10_u128.pow(20), 700]
        .into_iter()
        .map(|first| {
            let lives = (0..20).zip((first..).step_by(3));
            lives
                .flat_map(|(_, first)| stream::life(&tenant, TaskId::generate(), first))
                .collect()
        })
        .collect();
    cloud.react_at_once(&shards);
    assert_eq!(cloud.book(&tenant).counts, completed(80));
    cloud.react_at_once(&shards);
    let book = cloud.book(&tenant);
    assert_eq!(
        (book.counts, book.last),
        (completed(80), 240),
        "a repeat is known again"
    );
}

#[test]
fn what_is_no_task_holds_nothing_up() {
    let (cloud, tenant) = (Cloud::new(), stream::stranger("odd"));
    let mut batch = stream::life(&tenant, TaskId::generate(), 1);
    batch[0]["dynamodb"]["NewImage"]["type"] = json!({ "S": "telepathy" });
    batch.insert(
        0,
        json!({ "dynamodb": {
            "ApproximateCreationDateTime": 1, "SequenceNumber": "0",
            "NewImage": { "tenant_shard": { "S": "default#key#0" }, "id": { "S": "00" } },
        } }),
    );
    batch.extend(stream::life(&tenant, TaskId::generate(), 10));
    cloud.react(&batch);
    assert_eq!(
        cloud
            .book(&tenant)
            .counts
            .of(TaskType::Sentiment, Status::Completed),
        2
    );
}

//! The counters: they equal the table after a while, and a repeated record counts once.

use std::collections::BTreeMap;

use mesh_stats::Counts;
use mesh_task::{Lane, Status, TaskId, TaskType, Tenant};
use mesh_tests::{Api, Cloud, clients, eventually, stream};
use serde_json::{Value, json};

/// Types of which other tests submit few tasks.
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

/// The numbers of tasks by type and status, from a scan of the table.
fn in_table(cloud: &Cloud) -> BTreeMap<String, u64> {
    let mut numbers = BTreeMap::new();
    for item in cloud.items().expect("the table can be scanned") {
        if let (Some(task_type), Some(status)) = (item["type"].as_str(), item["status"].as_str())
            && TYPES.contains(&task_type)
        {
            *numbers.entry(format!("{task_type} {status}")).or_default() += 1;
        }
    }
    numbers
}

/// The numbers of tasks by type and status, from the counters.
fn counted(api: &Api) -> BTreeMap<String, u64> {
    let stats = stats(api);
    let mut numbers = BTreeMap::new();
    for task_type in TYPES {
        for (status, count) in stats["by_type"][task_type].as_object().into_iter().flatten() {
            let count = count.as_u64().expect("a count is not negative");
            if count > 0 {
                numbers.insert(format!("{task_type} {status}"), count);
            }
        }
    }
    numbers
}

/// Waits until the counters equal the table, and returns the numbers.
fn await_agreement(api: &Api, cloud: &Cloud) -> BTreeMap<String, u64> {
    eventually("the counters equal the table", || {
        let in_table = in_table(cloud);
        (counted(api) == in_table).then_some(in_table)
    })
}

#[test]
fn serial_after_a_burst_the_counters_equal_the_table_and_a_rebuild_corrects_them() {
    let (api, cloud) = clients();
    let before = await_agreement(&api, &cloud);
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
                // Some tasks are final before.
                api.cancel(&id);
            }
            ids.push(id);
        }
    }
    for id in &ids {
        api.finished(id);
    }
    let after = await_agreement(&api, &cloud);
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

    // As if they had expired.
    cloud.delete_tasks(&ids[..6]);
    let fewer = await_agreement(&api, &cloud);
    assert_eq!(fewer.values().sum::<u64>(), after.values().sum::<u64>() - 6);

    // As if records had been lost.
    let names = [("#type", "embed"), ("#version", "version")];
    let update = "SET counts.#type.failed = counts.#type.failed + :value, #version = #version + :value";
    cloud.edit_stats(&Tenant::first(), 0, update, &names, 1_000);
    assert!(counted(&api)["embed failed"] > 1_000);
    let rebuilt = cloud.rebuild_stats().expect("the counters can be rebuilt");
    assert!(rebuilt["tasks"].as_u64() >= Some(18), "{rebuilt}");
    await_agreement(&api, &cloud);
}

#[test]
fn a_batch_that_is_repeated_or_bisected_counts_once() {
    let (cloud, tenant) = (Cloud::new(), stream::unique_tenant("repeated"));
    let ids: Vec<_> = (0..10).map(|_| TaskId::generate()).collect();
    let lives = ids.iter().zip((1_000..).step_by(3));
    let batch: Vec<_> = lives
        .flat_map(|(id, first)| stream::lifecycle(&tenant, *id, first))
        .collect();
    for part in [&batch[..], &batch, &batch[..15], &batch[15..], &batch[7..]] {
        cloud.deliver_records(part);
        assert_eq!(cloud.counters(&tenant).counts, completed(10));
    }
    assert_eq!(cloud.counters(&tenant).last, 30, "each change is logged once");
    let removal = [stream::removal(&tenant, ids[3], 2_000)];
    for _ in 0..2 {
        cloud.deliver_records(&removal);
    }
    assert_eq!(cloud.counters(&tenant).counts, completed(9));
}

#[test]
fn concurrent_stream_shards_are_all_counted_whatever_their_sequence_numbers() {
    let (cloud, tenant) = (Cloud::new(), stream::unique_tenant("shards"));
    // Sequence numbers of different stream shards can't be compared. Each batch has tasks of every shard of the tasks.
    let shards: Vec<Vec<_>> = [10_u128.pow(37), 500, 10_u128.pow(20), 700]
        .into_iter()
        .map(|first| {
            let lives = (0..20).zip((first..).step_by(3));
            lives
                .flat_map(|(_, first)| stream::lifecycle(&tenant, TaskId::generate(), first))
                .collect()
        })
        .collect();
    cloud.deliver_concurrently(&shards);
    assert_eq!(cloud.counters(&tenant).counts, completed(80));
    cloud.deliver_concurrently(&shards);
    let counters = cloud.counters(&tenant);
    assert_eq!(
        (counters.counts, counters.last),
        (completed(80), 240),
        "repeated records are recognized"
    );
}

#[test]
fn a_record_that_is_not_a_task_is_skipped() {
    let (cloud, tenant) = (Cloud::new(), stream::unique_tenant("unreadable"));
    let mut batch = stream::lifecycle(&tenant, TaskId::generate(), 1);
    batch[0]["dynamodb"]["NewImage"]["type"] = json!({ "S": "telepathy" });
    batch.insert(
        0,
        json!({ "dynamodb": {
            "ApproximateCreationDateTime": 1, "SequenceNumber": "0",
            "NewImage": { "tenant_shard": { "S": "default#key#0" }, "id": { "S": "00" } },
        } }),
    );
    batch.extend(stream::lifecycle(&tenant, TaskId::generate(), 10));
    cloud.deliver_records(&batch);
    assert_eq!(
        cloud
            .counters(&tenant)
            .counts
            .get(TaskType::Sentiment, Status::Completed),
        2
    );
}

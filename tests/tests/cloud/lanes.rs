//! Lanes: tasks of one lane do not wait for the tasks of another.

use std::thread;

use jiff::Timestamp;
use mesh_tests::{Api, Cloud, Lane, eventually, setting};
use serde_json::{Value, json};

/// The number of small tasks in the backlog.
const BACKLOG: usize = 500;
/// The number of them that must still wait when the tasks of the other lanes have completed.
const BACKLOG_LEFT: u32 = 100;
/// The number of large tasks: more than run at a time.
const LARGE: usize = 20;
/// The template's `LargeConcurrency`.
const LARGE_SLOTS: usize = 8;

fn text(text: &str, priority: &str, fault: &str) -> Value {
    json!({
        "type": "sentiment", "input": { "text": text }, "priority": priority, "metadata": { "fault": fault },
    })
}

fn submit(api: &Api, task: &Value) -> String {
    let reply = api.post(task);
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.text("id").to_owned()
}

/// Submits tasks concurrently, and returns their ids.
fn submit_all(api: &Api, tasks: &[Value]) -> Vec<String> {
    thread::scope(|scope| {
        let chunks: Vec<_> = tasks
            .chunks(tasks.len().div_ceil(8))
            .map(|chunk| {
                let submit_each = move || chunk.iter().map(|task| submit(api, task)).collect::<Vec<_>>();
                scope.spawn(submit_each)
            })
            .collect();
        let ids = chunks
            .into_iter()
            .map(|chunk| chunk.join().expect("all tasks are accepted"));
        ids.flatten().collect()
    })
}

/// A text of more than 200 words.
fn long() -> String {
    "It was a fine day in the hills. ".repeat(40)
}

#[test]
fn serial_high_low_and_large_tasks_do_not_wait_for_a_backlog_of_small_ones() {
    let api = Api::of_cloud();
    let backlog: Vec<_> = (0..BACKLOG).map(|_| text("fine", "normal", "slow:50")).collect();
    let others = [
        text("fine", "high", "none"),
        text("fine", "low", "none"),
        text(&long(), "normal", "none"),
    ];
    let (waiting, others) = Lane::Text.paused(|| {
        let waiting = submit_all(&api, &backlog);
        (waiting, others.map(|task| submit(&api, &task)))
    });
    for id in &others {
        assert_eq!(api.finished(id)["status"], json!("completed"));
    }
    // They were submitted last.
    let left = Cloud::new().message_count(&setting("TEXT_QUEUE_URL"));
    assert!(left >= BACKLOG_LEFT, "only {left} of {BACKLOG} tasks still wait");
    for id in &waiting {
        assert_eq!(api.finished(id)["status"], json!("completed"));
    }
}

#[test]
fn serial_large_tasks_use_their_own_slots_and_do_not_delay_small_ones() {
    let api = Api::of_cloud();
    let large = vec![text(&long(), "normal", "slow:4000"); LARGE];
    let large = submit_all(&api, &large);
    let running = || {
        let is = |id: &&String| api.show(id)["status"] == "processing";
        large.iter().filter(is).count()
    };
    eventually("large tasks run", || (running() > 0).then_some(()));
    let small = submit_all(&api, &vec![text("fine", "normal", "none"); 50]);
    for id in &small {
        assert_eq!(api.finished(id)["status"], json!("completed"));
    }
    let small_done = latest(&api, &small);
    let runs: Vec<_> = large.iter().map(|id| run_of(&api.finished(id))).collect();
    assert!(
        small_done < latest(&api, &large),
        "the small tasks waited for the large ones"
    );
    // The number of runs at the start of each run.
    let running_at = |at: &Timestamp| runs.iter().filter(|(start, end)| start <= at && at < end).count();
    let max = runs.iter().map(|(start, _)| running_at(start)).max();
    assert_eq!(max, Some(LARGE_SLOTS), "{runs:?}");
}

/// When the last of these tasks ended.
fn latest(api: &Api, ids: &[String]) -> Timestamp {
    let ends = ids.iter().map(|id| run_of(&api.show(id)).1);
    ends.max().expect("there is a task")
}

/// The start and the end of a task's last attempt.
fn run_of(task: &Value) -> (Timestamp, Timestamp) {
    let attempt = task["attempts"].as_array().and_then(|attempts| attempts.last());
    let time = |name: &str| attempt.and_then(|attempt| attempt[name].as_str()?.parse().ok());
    match (time("started_at"), time("ended_at")) {
        (Some(start), Some(end)) => (start, end),
        _ => panic!("{task} has not run"),
    }
}

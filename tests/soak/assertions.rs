//! The assertions at the end of a soak: every task must be in its planned state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::thread;
use std::time::{Duration, Instant};

use mesh_stats::Counts;
use mesh_task::{Status, TaskType, Tenant};
use mesh_tests::{Api, Cloud, eventually, setting};
use serde_json::Value;

use crate::ledger::{Entries, Ledger};
use crate::load::Confirmed;
use crate::plan::{End, Plan, Planned};
use crate::rules::State;

/// A failed assertion: the number of the task that it is about, if it is about one, and a message.
type Finding = (Option<u32>, String);

/// How long a queue may take to drain: longer than any visibility timeout, after which a killed function's messages are
/// delivered again.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(330);

/// The number of findings that are printed, each with its task's whole history.
const MAX_PRINTED: usize = 10;

/// Checks everything against the plan, prints the findings, and returns their number.
pub(crate) fn check(
    plan: &Plan,
    confirmed: &HashMap<u32, Confirmed>,
    ledger: &Ledger,
    cloud: &Cloud,
) -> usize {
    let items = eventually("the table answers", || cloud.items().ok());
    let entries = ledger.entries();
    let about_task = |(number, message): &(u32, String)| (Some(*number), message.clone());
    let mut findings: Vec<Finding> = entries.violations.iter().map(about_task).collect();
    let queues = ["TEXT_QUEUE_URL", "IMAGE_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"];
    for queue in queues.into_iter().filter(|queue| !drains(cloud, queue)) {
        findings.push((None, format!("{queue} does not drain to empty")));
    }
    let mut stored = BTreeMap::<u32, Vec<State>>::new();
    for state in items.iter().filter_map(State::from_item) {
        stored.entry(state.number).or_default().push(state);
    }
    let mut ends = BTreeMap::<String, u32>::new();
    let mut dead = BTreeSet::new();
    for task in &plan.tasks {
        match check_task(task, confirmed.get(&task.number), stored.get(&task.number)) {
            Ok(state) => {
                *ends.entry(state.status.clone()).or_default() += 1;
                if state.status == "failed" && task.end() == End::DeadLetter {
                    dead.insert(state.id.clone());
                }
                let last = entries.tasks.get(&task.number).map(|task| &task.last);
                if last.is_none_or(|last| last.status != state.status) {
                    findings.push((
                        Some(task.number),
                        format!("the ledger ends with another status: {last:?}"),
                    ));
                }
            }
            Err(message) => findings.push((Some(task.number), message)),
        }
    }
    let listed = dead_letters(&Api::new());
    if listed != dead {
        let different: Vec<_> = listed.symmetric_difference(&dead).collect();
        findings.push((
            None,
            format!("the dead letters are not exactly the planned ones: {different:?}"),
        ));
    }
    findings.extend(check_counters(cloud, &items));
    println!("soak: ends: {ends:?}; dead letters: {}", listed.len());
    println!("soak: writes: {:?}", entries.transitions);
    print(&findings, &entries);
    findings.len()
}

/// Rebuilds the counters, since each restart loses a part of the stream, and compares them with the table.
fn check_counters(cloud: &Cloud, items: &[Value]) -> Option<Finding> {
    let mut expected = Counts::default();
    for item in items {
        let task_type = serde_json::from_value::<TaskType>(item["type"].clone());
        let status = serde_json::from_value::<Status>(item["status"].clone());
        if let (Ok(task_type), Ok(status)) = (task_type, status) {
            expected.add(task_type, status, 1);
        }
    }
    let before = cloud.counters(&Tenant::first()).counts;
    let rebuilt = eventually("the counters are rebuilt", || cloud.rebuild_stats().ok());
    let after = cloud.counters(&Tenant::first()).counts;
    println!("soak: the counters were {before:?}; rebuilt: {rebuilt}");
    (after != expected).then(|| {
        let message = format!("the counters are {after:?}, and the table has {expected:?}");
        (None, message)
    })
}

/// Waits until a queue is empty; false if it does not drain.
fn drains(cloud: &Cloud, queue: &str) -> bool {
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    while cloud.message_count(&setting(queue)) > 0 {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(200));
    }
    true
}

/// The task's one item, if it is in the planned state.
fn check_task<'a>(
    task: &Planned,
    confirmed: Option<&Confirmed>,
    stored: Option<&'a Vec<State>>,
) -> Result<&'a State, String> {
    let confirmed = confirmed.ok_or("the task was never accepted")?;
    let [state] = stored.map_or(&[][..], Vec::as_slice) else {
        return Err(format!(
            "accepted as {}, but the table contains {stored:?}",
            confirmed.id
        ));
    };
    if state.id != confirmed.id {
        return Err(format!(
            "accepted as {}, but the table contains {}",
            confirmed.id, state.id
        ));
    }
    if !state.is_final() {
        return Err(format!("the task is not final: {}", state.summary()));
    }
    let is_cancelled = state.status == "cancelled";
    if confirmed.is_cancelled && !confirmed.is_retried {
        return if is_cancelled {
            Ok(state)
        } else {
            Err(format!(
                "the cancellation was confirmed, but the task is {}",
                state.status
            ))
        };
    }
    if is_cancelled {
        return if confirmed.may_be_cancelled {
            Ok(state)
        } else {
            Err("the task is cancelled, but no client cancelled it".to_owned())
        };
    }
    let error = state.error.as_deref().unwrap_or_default();
    let is_expected = match task.end() {
        End::Completed => state.status == "completed" && error.is_empty(),
        End::Permanent(code) => {
            state.status == "failed" && error.contains("permanent") && error.contains(code)
        }
        End::DeadLetter => {
            state.status == "failed" && (error.contains("exhausted") || error.contains("timeout"))
        }
    };
    if is_expected {
        Ok(state)
    } else {
        Err(format!(
            "the task should be {:?}, but is {} {error}",
            task.end(),
            state.status
        ))
    }
}

/// The ids of the dead letters that the API lists.
fn dead_letters(api: &Api) -> BTreeSet<String> {
    let headers = [("x-service-token", api.token())];
    let mut ids = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/dead-letters?limit=100{cursor}");
        let page = eventually("the dead letters are listed", || {
            api.try_send("GET", &path, &headers, None)
                .ok()
                .filter(|page| page.status == 200)
        });
        for letter in page.body["dead_letters"].as_array().into_iter().flatten() {
            ids.insert(letter["id"].as_str().unwrap_or_default().to_owned());
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

fn print(findings: &[Finding], entries: &Entries) {
    for (number, message) in findings.iter().take(MAX_PRINTED) {
        let Some(number) = number else {
            println!("\nsoak: {message}");
            continue;
        };
        println!("\nsoak: task {number}: {message}");
        for line in entries.tasks.get(number).map_or(&[][..], |task| &task.lines) {
            println!("    {line}");
        }
    }
    if findings.len() > MAX_PRINTED {
        println!("\nsoak: and {} more", findings.len() - MAX_PRINTED);
    }
}

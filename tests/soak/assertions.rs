//! The assertions at the end of a soak: every task must be in its planned state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::thread;
use std::time::{Duration, Instant};

use mesh_tests::{Api, eventually};
use serde_json::Value;

use crate::home::Home;
use crate::ledger::{Entries, Ledger};
use crate::load::Confirmed;
use crate::plan::{End, Plan, Planned};
use crate::rules::State;

/// A failed assertion: the number of the task that it is about, if it is about one, and a message.
pub(crate) type Finding = (Option<u32>, String);

/// How long the counters may take to follow the last change.
const COUNTING_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of findings that are printed, each with its task's whole history.
const MAX_PRINTED: usize = 10;

/// Checks everything against the plan, prints the findings, and returns their number.
pub(crate) fn check(
    plan: &Plan,
    confirmed: &HashMap<u32, Confirmed>,
    ledger: &Ledger,
    home: &dyn Home,
    injected: &BTreeMap<String, usize>,
) -> usize {
    let undrained = home.undrained().into_iter();
    let mut findings: Vec<Finding> = undrained
        .map(|queue| (None, format!("{queue} does not drain to empty")))
        .collect();
    let items = home.items();
    let entries = ledger.entries();
    let about_task = |(number, message): &(u32, String)| (Some(*number), message.clone());
    findings.extend(entries.violations.iter().map(about_task));
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
    let api = Api::new();
    let listed: BTreeSet<_> = list(&api, "/v1/dead-letters", "dead_letters")
        .into_keys()
        .collect();
    if listed != dead {
        let different: Vec<_> = listed.symmetric_difference(&dead).collect();
        findings.push((
            None,
            format!("the dead letters are not exactly the planned ones: {different:?}"),
        ));
    }
    let states = stored.values().flatten();
    let states: BTreeMap<_, _> = states
        .map(|state| (state.id.clone(), state.status.clone()))
        .collect();
    if list(&api, "/v1/tasks", "tasks") != states {
        findings.push((None, "the API does not list exactly the stored tasks".to_owned()));
    }
    home.repair_counters();
    findings.extend(check_counters(&api, stored.values().flatten()));
    findings.extend(home.check(plan, &entries, injected));
    println!("soak: ends: {ends:?}; dead letters: {}", listed.len());
    println!("soak: writes: {:?}", entries.transitions);
    print(&findings, &entries);
    findings.len()
}

/// Compares the counters with the stored tasks. They follow the tasks by a moment.
fn check_counters<'a>(api: &Api, stored: impl Iterator<Item = &'a State>) -> Option<Finding> {
    let mut expected = BTreeMap::<(String, String), u64>::new();
    for state in stored {
        *expected
            .entry((state.task_type.clone(), state.status.clone()))
            .or_default() += 1;
    }
    let mut counted = BTreeMap::new();
    let deadline = Instant::now() + COUNTING_TIMEOUT;
    while Instant::now() < deadline {
        counted = counters(&eventually("the counters are read", || get(api, "/v1/stats")));
        if counted == expected {
            return None;
        }
        thread::sleep(Duration::from_millis(200));
    }
    let message = format!("the counters are {counted:?}, and there are {expected:?}");
    Some((None, message))
}

/// The number of tasks of each type and status, without zeros.
fn counters(stats: &Value) -> BTreeMap<(String, String), u64> {
    let mut counters = BTreeMap::new();
    for (task_type, by_status) in stats["by_type"].as_object().into_iter().flatten() {
        for (status, count) in by_status.as_object().into_iter().flatten() {
            let count = count.as_u64().filter(|count| *count > 0);
            counters.extend(count.map(|count| ((task_type.clone(), status.clone()), count)));
        }
    }
    counters
}

/// The task's one item, if it is in the planned state.
fn check_task<'a>(
    task: &Planned,
    confirmed: Option<&Confirmed>,
    stored: Option<&'a Vec<State>>,
) -> Result<&'a State, String> {
    let confirmed = confirmed.ok_or("the task was never accepted")?;
    let [state] = stored.map_or(&[][..], Vec::as_slice) else {
        return Err(format!("accepted as {}, but stored is {stored:?}", confirmed.id));
    };
    if state.id != confirmed.id {
        return Err(format!(
            "accepted as {}, but stored is {}",
            confirmed.id, state.id
        ));
    }
    if !state.is_final() {
        return Err(format!("the task is not final: {}", state.summary()));
    }
    if state.generation != confirmed.generation() {
        return Err(format!(
            "the generation should be {}: {}",
            confirmed.generation(),
            state.summary()
        ));
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

/// The status of each task that the API lists, by its id.
fn list(api: &Api, path: &str, field: &str) -> BTreeMap<String, String> {
    let mut tasks = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{path}?limit=100{cursor}");
        let page = eventually("the tasks are listed", || get(api, &path));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for task in page[field].as_array().into_iter().flatten() {
            tasks.insert(text(&task["id"]), text(&task["status"]));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return tasks,
        }
    }
}

/// The answer to a request that succeeds.
pub(crate) fn get(api: &Api, path: &str) -> Option<Value> {
    let headers = [("x-service-token", api.token())];
    let reply = api.try_send("GET", path, &headers, None).ok()?;
    (reply.status == 200).then_some(reply.body)
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

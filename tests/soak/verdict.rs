//! At the end every task must be where its plan says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::thread;
use std::time::{Duration, Instant};

use mesh_stats::Counts;
use mesh_task::{Status, TaskType, Tenant};
use mesh_tests::{Api, Cloud, eventually, setting};
use serde_json::Value;

use crate::ledger::{Books, Ledger};
use crate::load::Answer;
use crate::plan::{End, Plan, Planned};
use crate::rules::State;

/// What is not as it should be; of which task, if it is one's.
type Finding = (Option<u32>, String);

/// How long a queue may take to drain: a message of the dead-letter queue whose janitor was killed is hidden for 300 s.
const DRAINED_WITHIN: Duration = Duration::from_secs(330);

/// How many findings are shown with their task's whole history.
const SHOWN: usize = 10;

/// Holds everything against the plan, prints what was found, and says how many findings that is.
pub(crate) fn of(plan: &Plan, answers: &HashMap<u32, Answer>, ledger: &Ledger, cloud: &Cloud) -> usize {
    let items = eventually("the table answers", || cloud.items().ok());
    let books = ledger.books();
    let of_task = |(number, why): &(u32, String)| (Some(*number), why.clone());
    let mut findings: Vec<Finding> = books.violations.iter().map(of_task).collect();
    let queues = ["TEXT_QUEUE_URL", "IMAGE_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"];
    for queue in queues.into_iter().filter(|queue| !drains(cloud, queue)) {
        findings.push((None, format!("{queue} does not drain to empty")));
    }
    let mut standing = BTreeMap::<u32, Vec<State>>::new();
    for state in items.iter().filter_map(State::of) {
        standing.entry(state.number).or_default().push(state);
    }
    let mut ends = BTreeMap::<String, u32>::new();
    let mut dead = BTreeSet::new();
    for task in &plan.tasks {
        let found = judge(task, answers.get(&task.number), standing.get(&task.number));
        match found {
            Ok(state) => {
                *ends.entry(state.status.clone()).or_default() += 1;
                if state.status == "failed" && task.end() == End::DeadLetter {
                    dead.insert(state.id.clone());
                }
                let noted = books.tasks.get(&task.number).map(|account| &account.last);
                if noted.is_none_or(|noted| noted.status != state.status) {
                    findings.push((Some(task.number), format!("the ledger ends otherwise: {noted:?}")));
                }
            }
            Err(why) => findings.push((Some(task.number), why)),
        }
    }
    let listed = dead_letters(&Api::new());
    if listed != dead {
        let odd: Vec<_> = listed.symmetric_difference(&dead).collect();
        findings.push((
            None,
            format!("the dead letters are not exactly the poison: {odd:?}"),
        ));
    }
    findings.extend(count(cloud, &items));
    println!("soak: ends: {ends:?}; dead letters: {}", listed.len());
    println!("soak: writes: {:?}", books.moves);
    show(&findings, &books);
    findings.len()
}

/// What the counters, counted anew, say otherwise than the table. Each restart has lost them a part of the stream.
fn count(cloud: &Cloud, items: &[Value]) -> Option<Finding> {
    let mut truth = Counts::default();
    for item in items {
        let task_type = serde_json::from_value::<TaskType>(item["type"].clone());
        let status = serde_json::from_value::<Status>(item["status"].clone());
        if let (Ok(task_type), Ok(status)) = (task_type, status) {
            truth.add(task_type, status, 1);
        }
    }
    let before = cloud.book(&Tenant::first()).counts;
    let rebuilt = eventually("the counters are rebuilt", || cloud.rebuild_stats().ok());
    let after = cloud.book(&Tenant::first()).counts;
    println!("soak: the counters said {before:?}; rebuilt: {rebuilt}");
    (after != truth).then(|| (None, format!("the counters say {after:?}, the table {truth:?}")))
}

/// Whether a queue is empty in the end: what was sent in vain is dropped, what is hidden for a while comes back.
fn drains(cloud: &Cloud, queue: &str) -> bool {
    let deadline = Instant::now() + DRAINED_WITHIN;
    while cloud.messages(&setting(queue)) > 0 {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(200));
    }
    true
}

/// The task's one item, if it is as it should be.
fn judge<'a>(
    task: &Planned,
    answer: Option<&Answer>,
    standing: Option<&'a Vec<State>>,
) -> Result<&'a State, String> {
    let answer = answer.ok_or("it was never accepted")?;
    let [state] = standing.map_or(&[][..], Vec::as_slice) else {
        return Err(format!(
            "accepted as {}, and the table holds {standing:?}",
            answer.id
        ));
    };
    if state.id != answer.id {
        return Err(format!(
            "accepted as {}, and the table holds {}",
            answer.id, state.id
        ));
    }
    if !state.is_final() {
        return Err(format!("it is not final: {}", state.shown()));
    }
    let is_cancelled = state.status == "cancelled";
    if answer.is_cancelled && !answer.is_revived {
        return if is_cancelled {
            Ok(state)
        } else {
            Err(format!("its cancel was confirmed, and it is {}", state.status))
        };
    }
    if is_cancelled {
        return if answer.may_be_cancelled {
            Ok(state)
        } else {
            Err("nobody cancelled it".to_owned())
        };
    }
    let error = state.error.as_deref().unwrap_or_default();
    let fits = match task.end() {
        End::Completed => state.status == "completed" && error.is_empty(),
        End::Permanent(code) => {
            state.status == "failed" && error.contains("permanent") && error.contains(code)
        }
        End::DeadLetter => {
            state.status == "failed" && (error.contains("exhausted") || error.contains("timeout"))
        }
    };
    if fits {
        Ok(state)
    } else {
        Err(format!(
            "it should be {:?}, and is {} {error}",
            task.end(),
            state.status
        ))
    }
}

/// The ids that the API lists.
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

fn show(findings: &[Finding], books: &Books) {
    for (number, why) in findings.iter().take(SHOWN) {
        let Some(number) = number else {
            println!("\nsoak: {why}");
            continue;
        };
        println!("\nsoak: task {number}: {why}");
        for line in books.tasks.get(number).map_or(&[][..], |account| &account.lines) {
            println!("    {line}");
        }
    }
    if findings.len() > SHOWN {
        println!("\nsoak: and {} more", findings.len() - SHOWN);
    }
}

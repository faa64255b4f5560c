//! The ledger: every write to a task, read from the table's stream as it happens.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::Record;
use mesh_tests::{Cloud, eventually};
use serde_json::Value;

use crate::rules::{self, State};

/// The writes so far, shared between the threads.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// By the task's number in the plan.
    pub(crate) tasks: HashMap<u32, History>,
    /// The number of writes of each transition.
    pub(crate) transitions: BTreeMap<&'static str, u64>,
    /// Writes that break a rule: the task's number, and the rule.
    pub(crate) violations: Vec<(u32, String)>,
    /// The ids of the stream's records that were read.
    seen: HashSet<String>,
    writes: u64,
    /// The number of tasks that are not final.
    open: usize,
}

#[derive(Debug)]
pub(crate) struct History {
    pub(crate) last: State,
    /// In order, one line a write, with its transition.
    pub(crate) lines: Vec<String>,
}

/// The progress of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) tasks: usize,
    pub(crate) open: usize,
    pub(crate) writes: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tasks, {} of them open, {} writes",
            self.tasks, self.open, self.writes
        )
    }
}

impl Ledger {
    pub(crate) fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> Counts {
        let entries = self.entries();
        Counts {
            tasks: entries.tasks.len(),
            open: entries.open,
            writes: entries.writes,
        }
    }

    /// Reads the stream until the soak is over. A restart of the local cloud starts a new stream.
    pub(crate) fn follow(&self, is_over: &AtomicBool) {
        let cloud = Cloud::new();
        while !is_over.load(Ordering::Relaxed) {
            // An error ends the stream: the local cloud is being restarted.
            let _ended = cloud.follow_stream(|records| {
                if records.is_empty() {
                    thread::sleep(Duration::from_millis(50));
                }
                self.add_all(records);
                !is_over.load(Ordering::Relaxed)
            });
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn add_all(&self, records: Vec<Record>) {
        let mut entries = self.entries();
        for record in records {
            // A stream that is read again from its beginning repeats its records.
            if !entries.seen.insert(record.event_id.unwrap_or_default()) {
                continue;
            }
            let Some(change) = record.dynamodb else { continue };
            let [old, new] = [change.old_image, change.new_image].map(|image| {
                let item: Value = serde_dynamo::from_item(image?).ok()?;
                State::from_item(&item)
            });
            if let Some(new) = new {
                entries.add(old.as_ref(), new);
            }
        }
    }

    /// Reads from the table what is missing because a restart lost a part of the stream.
    pub(crate) fn catch_up(&self, cloud: &Cloud) {
        let items = eventually("the table answers", || cloud.items().ok());
        let mut entries = self.entries();
        for state in items.iter().filter_map(State::from_item) {
            let known = entries.tasks.get(&state.number).map(|task| &task.last);
            // The stream continues meanwhile, and may be ahead of the scan.
            if known.is_none_or(|known| state.age() > known.age()) {
                entries.store(state, "found after a restart");
            }
        }
    }
}

impl Entries {
    fn add(&mut self, old: Option<&State>, new: State) {
        self.writes += 1;
        let description = match rules::transition(old, &new) {
            Ok(transition) => {
                *self.transitions.entry(transition).or_default() += 1;
                transition.to_owned()
            }
            Err(violation) => {
                self.violations.push((new.number, violation.clone()));
                format!("VIOLATION: {violation}")
            }
        };
        self.store(new, &description);
    }

    fn store(&mut self, new: State, description: &str) {
        let line = format!("{description}: {}", new.summary());
        let number = new.number;
        match self.tasks.get_mut(&number) {
            Some(task) if task.last.id != new.id => {
                let violation = format!("one request created two tasks: {} and {}", task.last.id, new.id);
                self.violations.push((number, violation));
            }
            Some(task) => {
                self.open = self.open + usize::from(task.last.is_final()) - usize::from(new.is_final());
                task.last = new;
                task.lines.push(line);
            }
            None => {
                self.open += usize::from(!new.is_final());
                self.tasks.insert(
                    number,
                    History {
                        last: new,
                        lines: vec![line],
                    },
                );
            }
        }
    }
}

//! The ledger: every write to a task, as the home reports it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// The changes that a client can see, in order.
    pub(crate) visible: Vec<Visible>,
    /// The numbers of the writes that were read.
    seen: HashSet<String>,
    /// When a server was stopped and started again, in milliseconds since the epoch.
    starts: Vec<RangeInclusive<i64>>,
    writes: u64,
    /// The number of tasks that are not final.
    open: usize,
}

#[derive(Debug)]
pub(crate) struct History {
    pub(crate) last: State,
    /// In order, one line a write, with its transition.
    pub(crate) lines: Vec<String>,
    /// How many attempts were spent because a process died or lost its lease.
    pub(crate) spent_by_crashes: usize,
}

/// What a change showed of a task.
#[derive(Debug)]
pub(crate) struct Visible {
    pub(crate) before: Option<String>,
    pub(crate) after: State,
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

    /// Adds a write of this number, unless it was added before: a task before and after it.
    pub(crate) fn add(&self, number: String, old: Option<Value>, new: Option<Value>) {
        let [old, new] = [old, new].map(|item| State::from_item(&item?));
        let mut entries = self.entries();
        if entries.seen.insert(number)
            && let Some(new) = new
        {
            entries.add(old.as_ref(), new);
        }
    }

    /// Notes when a server was stopped and started again.
    pub(crate) fn started(&self, during: RangeInclusive<i64>) {
        self.entries().starts.push(during);
    }

    /// Adds the stored tasks, where the home can't report all writes.
    pub(crate) fn catch_up(&self, items: &[Value]) {
        let mut entries = self.entries();
        for state in items.iter().filter_map(State::from_item) {
            let known = entries.tasks.get(&state.number).map(|task| &task.last);
            // Other writes are added meanwhile, and may be ahead of the stored tasks.
            if known.is_none_or(|known| state.age() > known.age()) {
                entries.store(state, "found after a restart");
            }
        }
    }
}

impl Entries {
    fn add(&mut self, old: Option<&State>, new: State) {
        self.writes += 1;
        let is_start = self.starts.iter().any(|start| start.contains(&new.updated_at));
        if old.is_none_or(|old| old.visible() != new.visible()) {
            self.visible.push(Visible {
                before: old.map(|old| old.status.clone()),
                after: new.clone(),
            });
        }
        let description = match rules::transition(old, &new, is_start) {
            Ok(transition) => {
                *self.transitions.entry(transition).or_default() += 1;
                transition.to_owned()
            }
            Err(violation) => {
                self.violations.push((new.number, violation.clone()));
                format!("VIOLATION: {violation}")
            }
        };
        let is_spent = old.is_some_and(|old| new.spends_a_crash(old));
        let number = new.number;
        self.store(new, &description);
        if is_spent && let Some(task) = self.tasks.get_mut(&number) {
            task.spent_by_crashes += 1;
        }
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
                        spent_by_crashes: 0,
                    },
                );
            }
        }
    }
}

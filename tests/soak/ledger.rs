//! The ledger: every write to a task, read from the table's stream while it happens.

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

/// What is known of the tasks so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Books>);

#[derive(Debug, Default)]
pub(crate) struct Books {
    /// By the plan's number.
    pub(crate) tasks: HashMap<u32, Account>,
    /// How often each move was made.
    pub(crate) moves: BTreeMap<&'static str, u64>,
    /// Writes that should not have landed: the task's number, and why.
    pub(crate) violations: Vec<(u32, String)>,
    seen: HashSet<String>,
    writes: u64,
    open: usize,
}

/// One task's writes.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) last: State,
    /// In order, each with what it did.
    pub(crate) lines: Vec<String>,
}

/// How far things are.
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
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> Counts {
        let books = self.books();
        Counts {
            tasks: books.tasks.len(),
            open: books.open,
            writes: books.writes,
        }
    }

    /// Reads the stream until all is over. A restart of the local cloud begins its stream anew.
    pub(crate) fn follow(&self, over: &AtomicBool) {
        let cloud = Cloud::new();
        while !over.load(Ordering::Relaxed) {
            // An error ends the stream: the cloud is down for a moment.
            let _ended = cloud.follow_stream(|records| {
                if records.is_empty() {
                    thread::sleep(Duration::from_millis(50));
                }
                self.note_all(records);
                !over.load(Ordering::Relaxed)
            });
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn note_all(&self, records: Vec<Record>) {
        let mut books = self.books();
        for record in records {
            // A stream that is read again from its beginning shows again what it has shown.
            if !books.seen.insert(record.event_id.unwrap_or_default()) {
                continue;
            }
            let Some(change) = record.dynamodb else { continue };
            let [old, new] = [change.old_image, change.new_image].map(|image| {
                let item: Value = serde_dynamo::from_item(image?).ok()?;
                State::of(&item)
            });
            if let Some(new) = new {
                books.note(old.as_ref(), new);
            }
        }
    }

    /// Takes over from the table what the stream, lost in a restart, did not tell any more.
    pub(crate) fn catch_up(&self, cloud: &Cloud) {
        let items = eventually("the table answers", || cloud.items().ok());
        let mut books = self.books();
        for state in items.iter().filter_map(State::of) {
            let known = books.tasks.get(&state.number).map(|account| &account.last);
            // The stream goes on meanwhile, and may be ahead of what was scanned.
            if known.is_none_or(|known| state.age() > known.age()) {
                books.keep(state, "found after a restart");
            }
        }
    }
}

impl Books {
    fn note(&mut self, old: Option<&State>, new: State) {
        self.writes += 1;
        let what = match rules::judge(old, &new) {
            Ok(what) => {
                *self.moves.entry(what).or_default() += 1;
                what.to_owned()
            }
            Err(why) => {
                self.violations.push((new.number, why.clone()));
                format!("AGAINST THE RULES: {why}")
            }
        };
        self.keep(new, &what);
    }

    fn keep(&mut self, new: State, what: &str) {
        let line = format!("{what}: {}", new.shown());
        let number = new.number;
        match self.tasks.get_mut(&number) {
            Some(account) if account.last.id != new.id => {
                let why = format!(
                    "two tasks were made of one request: {} and {}",
                    account.last.id, new.id
                );
                self.violations.push((number, why));
            }
            Some(account) => {
                self.open = self.open + usize::from(account.last.is_final()) - usize::from(new.is_final());
                account.last = new;
                account.lines.push(line);
            }
            None => {
                self.open += usize::from(!new.is_final());
                self.tasks.insert(
                    number,
                    Account {
                        last: new,
                        lines: vec![line],
                    },
                );
            }
        }
    }
}

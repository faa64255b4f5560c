//! What the soak needs of the home that it runs on, beside the API.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::atomic::AtomicBool;

use fastrand::Rng;
use serde_json::Value;

use crate::assertions::Finding;
use crate::ledger::{Entries, Ledger};
use crate::plan::{Plan, Planned, Profile};

/// A local cloud with the template, or a server.
pub(crate) trait Home: Sync {
    /// What its tasks are.
    fn profile(&self) -> &'static Profile;

    /// Makes it ready, before the first task.
    fn prepare(&self);

    /// Reads every write to a task into the ledger until the soak is over.
    fn follow(&self, ledger: &Ledger, is_over: &AtomicBool);

    /// Does beside the load what this home needs, until the soak is over.
    fn run_beside(&self, is_over: &AtomicBool);

    /// Sends one more message of a task, which may get lost.
    fn send_duplicate(&self, task: &Planned, id: &str);

    /// A random fault, as [`request`] has it injected.
    fn random_fault(&self, rng: &mut Rng) -> String;

    /// Has a fault injected, and returns its description; `None` if nobody answers.
    fn inject(&self, fault: &str, ledger: &Ledger) -> Option<String>;

    /// Each stored task.
    fn items(&self) -> Vec<Value>;

    /// Waits until no message is left. Returns what does not drain.
    fn undrained(&self) -> Vec<String>;

    /// Brings the counters up to date, where faults may have lost changes.
    fn repair_counters(&self);

    /// What only this home can assert. `injected` says how often each fault was.
    fn check(&self, plan: &Plan, entries: &Entries, injected: &BTreeMap<String, usize>) -> Vec<Finding>;
}

/// Has `cargo xtask soak`, which owns the stack, do something. Returns its answer; `None` if nobody answers.
pub(crate) fn request(what: &str) -> Option<String> {
    println!("do {what}");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok_and(|bytes| bytes > 0)
        .then(|| answer.trim().to_owned())
}

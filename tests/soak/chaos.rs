//! Injects faults into the stack while the load runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::home::Home;
use crate::ledger::Ledger;
use crate::plan::Plan;

/// Injects the home's faults at random, and restarts the home when a third and two thirds of the tasks are submitted.
/// The last twentieth of the tasks ends without faults, since all must end. Returns how often each fault was injected.
pub(crate) fn inject(
    plan: &Plan,
    home: &dyn Home,
    ledger: &Ledger,
    is_over: &AtomicBool,
) -> BTreeMap<String, usize> {
    let mut rng = Rng::with_seed(plan.seed ^ 0x5eed);
    let third = plan.tasks.len() / 3;
    let mut restarts = [third, 2 * third].into_iter().peekable();
    let mut injected = BTreeMap::new();
    let pause = home.profile().fault_pause.clone();
    let mut next = Instant::now() + Duration::from_millis(pause.end);
    let is_nearly_over = || {
        let counts = ledger.counts();
        counts.tasks - counts.open > plan.tasks.len() / 20 * 19
    };
    while !is_over.load(Ordering::Relaxed) && !is_nearly_over() {
        thread::sleep(Duration::from_millis(50));
        let is_time = Instant::now() >= next;
        let fault = if restarts.next_if(|at| ledger.counts().tasks >= *at).is_some() {
            "restart".to_owned()
        } else if is_time {
            home.random_fault(&mut rng)
        } else {
            continue;
        };
        let Some(description) = home.inject(&fault, ledger) else {
            break;
        };
        *injected.entry(description).or_default() += 1;
        next = Instant::now() + Duration::from_millis(rng.u64(pause.clone()));
    }
    for (fault, times) in &injected {
        println!("soak: {times} times: {fault}");
    }
    injected
}

//! Injects faults into the stack while the load runs.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mesh_tests::Cloud;

use crate::ledger::Ledger;
use crate::plan::Plan;

/// Runs the sweeper every second, in place of its schedule's every minute.
pub(crate) fn run_sweeper(is_over: &AtomicBool) {
    let cloud = Cloud::new();
    while !is_over.load(Ordering::Relaxed) {
        // The sweeper fails like the other functions: the next run does what this one left.
        let _failed = cloud.try_run_sweeper();
        thread::sleep(Duration::from_secs(1));
    }
}

/// Kills, pauses and starves the functions' processes at random, and restarts the local cloud when a third and two thirds of
/// the tasks are submitted.
pub(crate) fn inject(plan: &Plan, ledger: &Ledger, is_over: &AtomicBool) {
    let mut rng = Rng::with_seed(plan.seed ^ 0x5eed);
    let third = plan.tasks.len() / 3;
    let mut restarts = [third, 2 * third].into_iter().peekable();
    let mut injected = BTreeMap::<String, u32>::new();
    let cloud = Cloud::new();
    let mut next = Instant::now() + Duration::from_secs(2);
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
        let is_time = Instant::now() >= next;
        let fault = if restarts.next_if(|at| ledger.counts().tasks >= *at).is_some() {
            "restart".to_owned()
        } else if is_time {
            match rng.u32(0..100) {
                0..60 => format!("kill {}", rng.u32(..)),
                60..70 => format!("fill {}", rng.u32(..)),
                _ => format!("pause {} {}", rng.u32(..), rng.u32(4_500..7_000)),
            }
        } else {
            continue;
        };
        let Some(description) = request(&fault) else {
            return;
        };
        if fault == "restart" {
            ledger.catch_up(&cloud);
        }
        *injected.entry(description).or_default() += 1;
        next = Instant::now() + Duration::from_millis(rng.u64(1_000..4_000));
    }
    for (fault, times) in injected {
        println!("soak: {times} times: {fault}");
    }
}

/// Has `cargo xtask soak`, which owns the stack, inject a fault. Returns its description once it is injected; `None` if
/// nobody answers.
fn request(fault: &str) -> Option<String> {
    println!("do {fault}");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok_and(|bytes| bytes > 0)
        .then(|| answer.trim().to_owned())
}

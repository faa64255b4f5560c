//! Runs a load of tasks under faults, and asserts that each task ends as planned. `cargo xtask soak` starts this program
//! with a stack of its own.
//!
//! The seed decides what each task requests and in which order faults come ([`plan`]). While the load runs ([`load`]),
//! faults are injected into the stack ([`chaos`]). Every write to the table is read from its stream and compared with the
//! rules of a task's life cycle ([`ledger`], [`rules`]). At the end each task must be in its planned state
//! ([`assertions`]).

mod assertions;
mod chaos;
mod ledger;
mod load;
mod plan;
mod rules;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_tests::{Cloud, setting};

use crate::ledger::Ledger;
use crate::load::Load;
use crate::plan::Plan;

/// If no task changes for this long, the soak fails.
const STALL_TIMEOUT: Duration = Duration::from_secs(180);

/// The visibility timeout of the dead-letter queue. With the template's five minutes, the soak would wait that long at its
/// end for messages that a killed sweeper had received.
const DEAD_LETTER_VISIBILITY: Duration = Duration::from_secs(36);

/// The time between two lines of progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(15);

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    tasks: u32,
    #[arg(long)]
    seed: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = Plan::new(args.tasks, args.seed);
    println!(
        "soak: {} tasks, seed {}: {}",
        args.tasks,
        args.seed,
        plan.summary()
    );
    Cloud::new().set_visibility_timeout(&setting("DEAD_LETTER_QUEUE_URL"), DEAD_LETTER_VISIBILITY);
    let ledger = Ledger::default();
    let load = Load::new(&plan, &ledger);
    let is_over = AtomicBool::new(false);
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| ledger.follow(&is_over));
        scope.spawn(|| chaos::run_sweeper(&is_over));
        scope.spawn(|| chaos::inject(&plan, &ledger, &is_over));
        let loading = scope.spawn(|| load.run());
        wait(&plan, &ledger, &|| loading.is_finished());
        is_over.store(true, Ordering::Relaxed);
    });
    println!("soak: the load took {:.0?}", started.elapsed());
    let findings = assertions::check(&plan, &load.confirmed(), &ledger, &Cloud::new());
    if findings == 0 {
        println!("soak: passed (seed {})", args.seed);
        return ExitCode::SUCCESS;
    }
    println!("soak: FAILED with {findings} findings; the seed is {}", args.seed);
    ExitCode::FAILURE
}

/// Waits until every task is final, or no task changes any more.
fn wait(plan: &Plan, ledger: &Ledger, is_loaded: &dyn Fn() -> bool) {
    let (mut last, mut since) = (0, Instant::now());
    let mut reported = Instant::now();
    loop {
        let counts = ledger.counts();
        if is_loaded() && counts.open == 0 && counts.tasks >= plan.tasks.len() {
            return;
        }
        if counts.writes != last {
            (last, since) = (counts.writes, Instant::now());
        }
        if since.elapsed() > STALL_TIMEOUT {
            println!("soak: no task has changed for {STALL_TIMEOUT:?}");
            return;
        }
        if reported.elapsed() > REPORT_INTERVAL {
            reported = Instant::now();
            println!("soak: {counts}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

//! Runs a load of tasks under faults and passes judgement on what became of them. `cargo xtask soak` starts it beside a
//! stack of its own.
//!
//! What a task asks for, and which deed comes when, follows from the seed ([`plan`]). While the load runs ([`load`]), deeds
//! befall the stack ([`deeds`]), and every write to the table is read from its stream and held against the rules of a
//! task's life ([`ledger`], [`rules`]). At the end each task must be where its plan says ([`verdict`]).

mod deeds;
mod ledger;
mod load;
mod plan;
mod rules;
mod verdict;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_tests::{Cloud, setting};

use crate::ledger::Ledger;
use crate::load::Load;
use crate::plan::Plan;

/// With faults all around something always happens: this long without any change of any task is a failure.
const STALLED: Duration = Duration::from_secs(180);

/// How long the dead letters' messages are hidden that a janitor was killed with: not the template's five minutes, which
/// the soak would spend on waiting at its end.
const DEAD_LETTERS_HIDDEN: Duration = Duration::from_secs(36);

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
    Cloud::new().hide_for(&setting("DEAD_LETTER_QUEUE_URL"), DEAD_LETTERS_HIDDEN);
    let ledger = Ledger::default();
    let load = Load::new(&plan, &ledger);
    let over = AtomicBool::new(false);
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| ledger.follow(&over));
        scope.spawn(|| deeds::run_janitor(&over));
        scope.spawn(|| deeds::befall(&plan, &ledger, &over));
        let loading = scope.spawn(|| load.run());
        wait(&plan, &ledger, &|| loading.is_finished());
        over.store(true, Ordering::Relaxed);
    });
    println!("soak: all of it took {:.0?}", started.elapsed());
    let faults = verdict::of(&plan, &load.answers(), &ledger, &Cloud::new());
    if faults == 0 {
        println!("soak: passed (seed {})", args.seed);
        return ExitCode::SUCCESS;
    }
    println!("soak: FAILED with {faults} findings; the seed is {}", args.seed);
    ExitCode::FAILURE
}

/// Waits until every task is final, or nothing changes any more.
fn wait(plan: &Plan, ledger: &Ledger, is_loaded: &dyn Fn() -> bool) {
    let (mut last, mut since) = (0, Instant::now());
    let mut told = Instant::now();
    loop {
        let counts = ledger.counts();
        if is_loaded() && counts.open == 0 && counts.tasks >= plan.tasks.len() {
            return;
        }
        if counts.writes != last {
            (last, since) = (counts.writes, Instant::now());
        }
        if since.elapsed() > STALLED {
            println!("soak: nothing has changed for {STALLED:?}");
            return;
        }
        if told.elapsed() > Duration::from_secs(15) {
            told = Instant::now();
            println!("soak: {counts}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

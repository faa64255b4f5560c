//! Runs a load of tasks under faults, and asserts that each task ends as planned. `cargo xtask soak` starts this program
//! with a stack of its own.
//!
//! The seed decides what each task requests and in which order faults come ([`plan`]). While the load runs ([`load`]),
//! faults are injected into the stack ([`chaos`]). Every write to a task is read from the home's own storage and compared
//! with the rules of a task's life cycle ([`ledger`], [`rules`]). At the end each task must be in its planned state
//! ([`assertions`]).
//!
//! What depends on the home is behind an interface ([`home`]): a local cloud ([`cloud`]), or a server ([`server`]) with its
//! change log ([`changes`]) and its metrics ([`metrics`]).

mod assertions;
mod changes;
mod chaos;
mod cloud;
mod cut;
mod home;
mod ledger;
mod load;
mod metrics;
mod plan;
mod rules;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::cloud::LocalCloud;
use crate::home::Home;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::plan::Plan;
use crate::server::Server;

/// If no task changes for this long, the soak fails.
const STALL_TIMEOUT: Duration = Duration::from_secs(180);

/// The time between two lines of progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(15);

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    tasks: u32,
    #[arg(long)]
    seed: u64,
    /// The data folder of the server. Without it the stack is a local cloud.
    #[arg(long)]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let home: Box<dyn Home> = match args.data {
        Some(data) => Box::new(Server::new(&data)),
        None => Box::new(LocalCloud),
    };
    let home = &*home;
    let plan = Plan::new(args.tasks, args.seed, home.profile());
    println!(
        "soak: {} tasks, seed {}: {}",
        args.tasks,
        args.seed,
        plan.summary()
    );
    home.prepare();
    let ledger = Ledger::default();
    let is_over = AtomicBool::new(false);
    let load = Load::new(&plan, home, &ledger, &is_over);
    let started = Instant::now();
    let mut injected = BTreeMap::new();
    thread::scope(|scope| {
        scope.spawn(|| home.follow(&ledger, &is_over));
        scope.spawn(|| home.run_beside(&is_over));
        let injecting = scope.spawn(|| chaos::inject(&plan, home, &ledger, &is_over));
        let loading = scope.spawn(|| load.run());
        wait(&load, &ledger, &|| loading.is_finished());
        is_over.store(true, Ordering::Relaxed);
        injected = injecting.join().expect("the chaos does not panic");
    });
    println!("soak: the load took {:.0?}", started.elapsed());
    let findings = assertions::check(&plan, &load.confirmed(), &ledger, home, &injected);
    if findings == 0 {
        println!("soak: passed (seed {})", args.seed);
        return ExitCode::SUCCESS;
    }
    println!("soak: FAILED with {findings} findings; the seed is {}", args.seed);
    ExitCode::FAILURE
}

/// Waits until every task is final, or no task changes any more.
fn wait(load: &Load<'_>, ledger: &Ledger, is_loaded: &dyn Fn() -> bool) {
    let (mut last, mut since) = (0, Instant::now());
    let mut reported = Instant::now();
    loop {
        let counts = ledger.counts();
        if is_loaded() && counts.open == 0 && load.is_in_ledger() {
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

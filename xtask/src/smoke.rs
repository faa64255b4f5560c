//! `cargo xtask smoke`: runs the documented commands that take too long for `cargo xtask test`, each at its smallest size.
//!
//! Every command that a page names is in the table, so that none is documented which nobody runs. A test compares them.

use std::time::Instant;

use anyhow::{Result, bail};
use mesh_supervisor::signals;

use crate::process;
use crate::progress::format_duration;

/// Where it is shown that a command works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Smoke {
    /// In each run of CI: `.ci/run` runs it, or what it is made of.
    Ci,
    /// `cargo xtask smoke` runs exactly this.
    Slow,
    /// Nowhere, for this reason.
    Never(&'static str),
}

use Smoke::{Ci, Never, Slow};

/// The commands with their arguments, in the order in which they run.
const COMMANDS: [(&str, Smoke); 39] = [
    ("check", Ci),
    ("test", Ci),
    ("test --unit", Never("it is a part of test")),
    (
        "test --llm",
        Never("`up --llm` and `demo --llm` start the same models"),
    ),
    ("models", Ci),
    ("web", Ci),
    ("soak --tasks 500 --seed 1", Ci),
    ("soak --cloud --tasks 500 --seed 1", Ci),
    ("soak --cloud --broken fence", Never("it must fail")),
    ("test --cloud", Slow),
    ("demo", Slow),
    ("demo --llm", Slow),
    ("up --name smoke", Slow),
    ("logs --name smoke", Slow),
    ("logs --follow", Never("it ends with Ctrl-C only")),
    ("down --name smoke", Slow),
    ("up --llm --name smoke", Slow),
    ("down --name smoke", Slow),
    ("demo --cloud", Slow),
    ("demo --cloud --llm", Slow),
    ("up --cloud --name smoke --auth --faults", Slow),
    ("logs api --name smoke", Slow),
    ("logs --name smoke", Slow),
    ("down --name smoke", Slow),
    (
        "up --cloud --name smoke --llm=bedrock --parameter MaxAttempts=2",
        Slow,
    ),
    ("down --name smoke", Slow),
    ("soak --tasks 2000 --seed 7", Slow),
    ("soak --cloud --tasks 2000 --seed 7", Slow),
    ("bench --quick", Slow),
    ("bench memory", Slow),
    ("bench load --rates 10 --seconds 2", Slow),
    ("bench scaling", Slow),
    ("openapi", Slow),
    ("clients", Slow),
    ("web --screenshots", Slow),
    ("models --evaluate --only faces", Slow),
    ("models --evaluate", Never("its sections take hours: see --only")),
    ("release", Slow),
    ("smoke", Never("it is this")),
];

/// Runs them all, and fails at the end if one of them failed.
pub(crate) fn run() -> Result<()> {
    let mut failures = Vec::new();
    let slow = COMMANDS.iter().filter(|(_, smoke)| *smoke == Slow);
    for (command, _) in slow {
        println!("\n$ cargo xtask {command}");
        let started = Instant::now();
        let mut smoke = process::command(std::env::current_exe()?);
        let status = process::run_on_terminal(smoke.args(command.split(' ')))?;
        signals::check()?;
        println!("{command}: {status}, {}", format_duration(started.elapsed()));
        if !status.success() {
            failures.push(*command);
        }
    }
    if !failures.is_empty() {
        bail!("these commands failed: {}", failures.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

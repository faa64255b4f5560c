//! `cargo xtask check`: all that can be said about the code without running it.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use mesh_supervisor::signals;

use crate::progress::format_duration;
use crate::tools::{self, cargo};
use crate::venv::Venv;
use crate::{functions, paths, process, web};

type Check = (&'static str, fn() -> Result<Command>);

/// The template of the stack, and of the one that watches it.
const TEMPLATES: [&str; 2] = ["infra/template.yaml", "infra/observability.yaml"];

const CHECKS: [Check; 9] = [
    ("rustfmt", rustfmt),
    ("clippy", || clippy(&[])),
    ("clippy-faults", || clippy(&["--all-features"])),
    ("cargo-deny", deny),
    ("cfn-lint", cfn_lint),
    ("sam-validate", || sam_validate(TEMPLATES[0])),
    ("sam-validate-observability", || sam_validate(TEMPLATES[1])),
    ("ruff", ruff),
    ("typescript", web::typecheck),
];

/// Runs every check, whatever the others say, and fails at the end if one did.
pub(crate) fn run() -> Result<()> {
    let mut failures = Vec::new();
    for (name, check) in CHECKS {
        let started = Instant::now();
        let result =
            check().and_then(|mut command| process::run(&mut command, name, &format!("check-{name}")));
        signals::check()?;
        if let Err(error) = result {
            eprintln!("  {error:#}");
            failures.push(format!("{name} ({})", format_duration(started.elapsed())));
        }
    }
    if !failures.is_empty() {
        bail!(
            "{} of {} checks failed: {}",
            failures.len(),
            CHECKS.len(),
            failures.join(", ")
        );
    }
    println!("All {} checks passed.", CHECKS.len());
    Ok(())
}

#[allow(clippy::unnecessary_wraps, reason = "one signature for all checks")]
fn rustfmt() -> Result<Command> {
    let mut command = process::command(cargo());
    command.args(["fmt", "--all", "--check"]);
    Ok(command)
}

#[allow(clippy::unnecessary_wraps, reason = "one signature for all checks")]
fn clippy(features: &[&str]) -> Result<Command> {
    let mut command = process::command(cargo());
    command
        .args(["clippy", "--workspace", "--all-targets", "--locked"])
        .args(features);
    command.args(["--", "--deny", "warnings"]);
    Ok(command)
}

/// Licences, bans and sources. The advisories' database is a repository of its own, which not every network reaches:
/// the GitHub workflow asks it.
fn deny() -> Result<Command> {
    let mut command = tools::DENY.command()?;
    command.args(["--locked", "check", "licenses", "bans", "sources"]);
    Ok(command)
}

fn cfn_lint() -> Result<Command> {
    let venv = functions::sam_venv()?;
    let mut command = process::command(venv.bin("cfn-lint"));
    command.args(TEMPLATES);
    Ok(command)
}

fn sam_validate(template: &str) -> Result<Command> {
    let mut command = functions::sam(&functions::sam_venv()?)?;
    command.args([
        "validate",
        "--lint",
        "--template",
        template,
        "--region",
        "us-east-1",
    ]);
    Ok(command)
}

fn ruff() -> Result<Command> {
    let venv = Venv::ensure("check", &paths::root().join("xtask/requirements.txt"))?;
    let mut command = process::command(venv.bin("ruff"));
    command.args(["check", "--isolated", "--no-cache", "--target-version", "py310"]);
    command
        .args([
            "--select",
            "E4,E7,E9,E501,F,B",
            "--ignore",
            "B905",
            "--line-length",
            "120",
        ])
        .args(python_folders());
    Ok(command)
}

/// The folders with Python in them.
fn python_folders() -> Vec<&'static str> {
    let folders = [
        "bench",
        "cli",
        "clients",
        "infra",
        "localstack",
        "models",
        "tests",
        "xtask",
    ];
    folders
        .into_iter()
        .filter(|folder| paths::root().join(folder).is_dir())
        .collect()
}

//! `cargo xtask check`: checks everything about the code that needs no test run.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use mesh_supervisor::signals;

use crate::progress::{Step, format_duration};
use crate::tools::{self, cargo};
use crate::venv::Venv;
use crate::{functions, paths, process, vocabulary, web};

#[derive(Clone, Copy)]
enum Check {
    /// Runs a tool, whose exit code is the result.
    Tool(fn() -> Result<Command>),
    /// Runs in this process.
    Internal(fn() -> Result<()>),
}

/// The templates of the stack and of its observability stack.
const TEMPLATES: [&str; 2] = ["infra/template.yaml", "infra/observability.yaml"];

const CHECKS: [(&str, Check); 11] = [
    ("rustfmt", Check::Tool(rustfmt)),
    ("clippy", Check::Tool(|| clippy(&[]))),
    ("clippy-faults", Check::Tool(|| clippy(&["--all-features"]))),
    ("cargo-deny", Check::Tool(deny)),
    ("cfn-lint", Check::Tool(cfn_lint)),
    ("sam-validate", Check::Tool(|| sam_validate(TEMPLATES[0]))),
    (
        "sam-validate-observability",
        Check::Tool(|| sam_validate(TEMPLATES[1])),
    ),
    ("ruff", Check::Tool(ruff)),
    ("typescript", Check::Tool(web::typecheck)),
    ("dashboard-types", Check::Tool(web::check_types)),
    ("vocabulary", Check::Internal(vocabulary::check)),
];

/// Runs all checks, and fails at the end if one of them failed.
pub(crate) fn run() -> Result<()> {
    let mut failures = Vec::new();
    for (name, check) in CHECKS {
        let started = Instant::now();
        let result = check.run(name);
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

impl Check {
    fn run(self, name: &str) -> Result<()> {
        match self {
            Self::Tool(command) => {
                process::run(&mut command()?, name, &format!("check-{name}"))?;
            }
            Self::Internal(check) => {
                let step = Step::start(name);
                check()?;
                step.done("");
            }
        }
        Ok(())
    }
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

/// Checks licences, bans and sources. The GitHub workflow checks the advisories, whose database not every network
/// reaches.
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

/// The folders that contain Python.
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

//! `cargo xtask test`: every test there is, against stacks that are started for them and stopped in any case.

mod report;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::functions::{self, Build};
use crate::stack::{self, Attached, Options};
use crate::tools::{self, cargo};
use crate::venv::Venv;
use crate::{models, paths, process};
use report::Report;
use settings::Settings;

/// The package whose tests need stacks.
const BLACK_BOX: &str = "mesh-tests";

pub(crate) fn run(unit: bool, nextest: &[String]) -> Result<()> {
    let assets = models::ensure()?;
    let mut report = Report::default();
    // Someone who names tests wants these alone.
    if nextest.is_empty() {
        doctests(&mut report)?;
        python(unit, &mut report)?;
    }
    if unit {
        let mut command = nextest_run(&["--exclude", BLACK_BOX], nextest)?;
        command.env("AI_MESH_ASSETS", &assets);
        report.nextest(&mut command)?;
    } else {
        with_stacks(&assets, nextest, &mut report)?;
    }
    report.conclude()
}

fn with_stacks(assets: &Path, nextest: &[String], report: &mut Report) -> Result<()> {
    let faults = functions::build(Build::Faults)?;
    let release = functions::build(Build::Release)?;
    // Before the stacks are up: they need not wait for the compiler.
    process::run(
        nextest_run(&["--no-run"], &[])?.arg("--locked"),
        "building the tests",
        "test-build",
    )?;

    let settings = Settings::read()?;
    let test = Options {
        faults: true,
        auth: false,
        parameters: settings.parameters(),
    };
    let test = stack::attached("test", &test)?;
    let auth = Options {
        faults: false,
        auth: true,
        parameters: settings.auth_parameters(),
    };
    let auth = stack::attached("test-auth", &auth)?;

    let mut command = nextest_run(&[], nextest)?;
    command.envs(environment(&test, &auth)?);
    command
        .env("AI_MESH_ASSETS", assets)
        .env("AI_MESH_ARTIFACTS", release)
        .env("AI_MESH_FAULT_ARTIFACTS", faults);
    command.env("AI_MESH_PYTHON", stack::venv()?.bin("python"));
    report.nextest(&mut command)
}

/// What the black-box tests need to know of the stacks.
fn environment(test: &Attached, auth: &Attached) -> Result<Vec<(String, String)>> {
    let mut variables: Vec<_> = stack::parse_env(&fs::read_to_string(test.place.env())?)?
        .into_iter()
        .collect();
    for (name, path) in [
        ("AI_MESH_AUTH_ENV", auth.place.env()),
        ("AI_MESH_CLOUD_LOG", test.place.log()),
    ] {
        variables.push((name.to_owned(), path.display().to_string()));
    }
    Ok(variables)
}

fn nextest_run(arguments: &[&str], more: &[String]) -> Result<Command> {
    let mut command = tools::nextest()?;
    command.args(["run", "--workspace"]).args(arguments).args(more);
    Ok(command)
}

fn doctests(report: &mut Report) -> Result<()> {
    let mut command = process::command(cargo());
    command.args(["test", "--workspace", "--doc", "--locked"]);
    report.doctests(&mut command)
}

/// The tests of the Python scripts. Those of localstack/ start local clouds of their own.
fn python(unit: bool, report: &mut Report) -> Result<()> {
    let mut suites: Vec<(&str, PathBuf)> = vec![("models", paths::root().join("models/tests"))];
    if !unit {
        suites.push(("localstack", paths::root().join("localstack/tests")));
    }
    for (name, folder) in suites {
        if folder.is_dir() {
            report.pytest(&python_of(name)?, name, &folder)?;
        }
    }
    Ok(())
}

fn python_of(name: &str) -> Result<PathBuf> {
    let venv = match name {
        "models" => Venv::ensure("models", &paths::root().join("models/requirements.txt"))?,
        _ => stack::venv()?,
    };
    Ok(venv.bin("python"))
}

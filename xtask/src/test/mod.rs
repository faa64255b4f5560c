//! `cargo xtask test`: every test there is, against stacks that are started for them and stopped in any case.

mod conformance;
mod report;
mod settings;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::functions::{self, Build};
use crate::llm::Provider;
use crate::stack::{self, Attached, Options};
use crate::tools::{self, cargo};
use crate::venv::Venv;
use crate::{models, paths, process, soak, web};
use report::Report;
use settings::Settings;

/// The package whose tests need stacks.
const BLACK_BOX: &str = "mesh-tests";

pub(crate) fn run(unit: bool, llm: bool, nextest: &[String]) -> Result<()> {
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
        with_stacks(&assets, llm, nextest, &mut report)?;
    }
    report.conclude()
}

fn with_stacks(assets: &Path, llm: bool, nextest: &[String], report: &mut Report) -> Result<()> {
    if nextest.is_empty() {
        // Without it there is nothing to test in a browser.
        web::build()?;
    }
    let faults = functions::build(Build::Faults)?;
    let release = functions::build(Build::Release)?;
    // Before the stacks are up: they need not wait for the compiler.
    process::run(
        &mut nextest_run(&["--no-run"], &[])?,
        "building the tests",
        "test-build",
    )?;

    let settings = Settings::read()?;
    // What the policies forget, a test of the code finds.
    let test = Options {
        faults: true,
        auth: true,
        parameters: settings.parameters(),
        ..Options::default()
    };
    let test = stack::attached("test", &test)?;
    let auth = Options {
        faults: false,
        auth: true,
        parameters: settings.auth_parameters(),
        ..Options::default()
    };
    let auth = stack::attached("test-auth", &auth)?;

    let mut variables = environment(&test, &auth)?;
    let folders = [
        ("AI_MESH_ASSETS", assets.to_path_buf()),
        ("AI_MESH_ARTIFACTS", release),
        ("AI_MESH_FAULT_ARTIFACTS", faults),
        ("AI_MESH_PYTHON", stack::venv()?.bin("python")),
        // It was built with the tests.
        (
            "AI_MESH_STREAMING_HOST",
            paths::target().join("debug/streaming-host"),
        ),
    ];
    variables.extend(folders.map(|(name, path)| (name.to_owned(), path.display().to_string())));
    if nextest.is_empty() {
        pytest("localstack/tests/built", &variables, report)?;
        pytest("localstack/tests/auth", &variables, report)?;
    }
    report.nextest(nextest_run(&[], nextest)?.envs(variables.iter().cloned()))?;
    if nextest.is_empty() {
        report.playwright(&mut web::tests(&variables, "dashboard")?)?;
        // After the others: it asks the API as fast as that answers. Of the functions as they are shipped, and where few
        // tasks lie: the local cloud sorts them all for each list.
        let shipped = stack::parse_env(&fs::read_to_string(auth.place.env())?)?;
        let shipped: Vec<_> = shipped.into_iter().collect();
        report.schemathesis(&mut conformance::command(&shipped)?)?;
    }
    drop((test, auth));
    if llm {
        with_language_models(nextest, report)?;
    }
    if nextest.is_empty() {
        report.soak(soak::run(&soak::Args::short()))?;
    }
    Ok(())
}

/// Runs the tests that ask a real language model, on a stack for each provider that reaches it.
fn with_language_models(nextest: &[String], report: &mut Report) -> Result<()> {
    // Those of the crate reach it both ways by themselves.
    for (provider, tests) in [
        (Provider::Openai, "binary(live) | test(/^live::/)"),
        (Provider::Bedrock, "package(mesh-tests) & test(/^live::/)"),
    ] {
        let options = Options {
            auth: true,
            llm: Some(provider),
            ..Options::default()
        };
        let stack = stack::attached("test-llm", &options)?;
        let variables = stack::parse_env(&fs::read_to_string(stack.place.env())?)?;
        let features = "mesh-language/live,mesh-tests/live";
        let mut live = nextest_run(&["--features", features, "--no-tests=pass", "-E", tests], nextest)?;
        report.nextest(live.envs(variables))?;
    }
    Ok(())
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
    command
        .args(["run", "--workspace", "--locked"])
        .args(arguments)
        .args(more);
    Ok(command)
}

fn doctests(report: &mut Report) -> Result<()> {
    let mut command = process::command(cargo());
    command.args(["test", "--workspace", "--doc", "--locked"]);
    report.doctests(&mut command)
}

/// The tests of the Python scripts that need no stack of ours. Those of localstack/ start local clouds for themselves.
fn python(unit: bool, report: &mut Report) -> Result<()> {
    let venv = Venv::ensure("models", &paths::root().join("models/requirements.txt"))?;
    let mut command = process::command(venv.bin("python"));
    report.unittest(
        command.args(["-m", "unittest", "discover", "models/tests"]),
        "models/tests",
    )?;
    if !unit {
        pytest("localstack/tests", &[], report)?;
    }
    Ok(())
}

fn pytest(folder: &str, variables: &[(String, String)], report: &mut Report) -> Result<()> {
    let mut command = process::command(stack::venv()?.bin("python"));
    command
        .args(["-m", "pytest", folder])
        .envs(variables.iter().cloned());
    report.pytest(&mut command, folder)
}

//! `cargo xtask test`: runs all tests, against stacks that it starts for them and always stops.
//!
//! What only uses the HTTP API runs on one home: on mesh-server, or on the local cloud if asked for. What needs the template
//! and its AWS services runs on the local cloud.

mod conformance;
mod report;
mod settings;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::functions::{self, Build};
use crate::llm::Provider;
use crate::stack::{self, Attached, Kind, Options};
use crate::tools::{self, cargo};
use crate::venv::Venv;
use crate::{browser, dynalite, models, paths, process, soak, web};
use report::Report;
use settings::Settings;

/// The packages with the tests that need stacks or built functions.
const BLACK_BOX: [&str; 2] = ["mesh-tests", "mesh-bench"];

pub(crate) fn run(unit: bool, llm: bool, home: Kind, nextest: &[String]) -> Result<()> {
    if nextest.is_empty() && !unit {
        // What is missing is said before the tests run for half an hour.
        browser::find()?;
    }
    let assets = models::ensure()?;
    let mut report = Report::default();
    // With arguments for nextest, only its tests run.
    if nextest.is_empty() {
        doctests(&mut report)?;
        python(unit, &mut report)?;
    }
    if unit {
        let mut command = nextest_run(&BLACK_BOX.map(|package| ["--exclude", package]).concat(), nextest)?;
        command.env("AI_MESH_ASSETS", &assets);
        report.nextest(&mut command)?;
    } else {
        with_stacks(&assets, llm, home, nextest, &mut report)?;
    }
    report.conclude()
}

fn with_stacks(assets: &Path, llm: bool, home: Kind, nextest: &[String], report: &mut Report) -> Result<()> {
    if nextest.is_empty() {
        // `functions::build` would leave the dashboard out without Node.js, and the browser tests need it.
        web::build()?;
    }
    let dynalite = dynalite::ensure()?;
    let faults = functions::build(Build::Faults)?;
    let release = functions::build(Build::Release)?;
    // Compiled before the stacks start, since both need the processor.
    process::run(
        &mut nextest_run(&["--no-run"], &[])?,
        "building the tests",
        "test-build",
    )?;

    let settings = Settings::read()?;
    // With IAM enforced, the tests of the code find a missing permission too.
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
    let server = match home {
        Kind::Server => Some(start_server(&settings, &faults)?),
        Kind::Cloud => None,
    };

    let mut cloud = test.dir.settings()?;
    for (name, path) in [
        ("AI_MESH_AUTH_ENV", auth.dir.env_file()),
        ("AI_MESH_CLOUD_LOG", test.dir.log_file()),
    ] {
        cloud.insert(name.to_owned(), path.display().to_string());
    }
    let folders = [
        ("AI_MESH_ASSETS", assets.to_path_buf()),
        ("AI_MESH_ARTIFACTS", release),
        ("AI_MESH_FAULT_ARTIFACTS", faults),
        ("AI_MESH_DYNALITE", dynalite),
        ("AI_MESH_PYTHON", stack::venv()?.bin("python")),
        // Built together with the tests.
        (
            "AI_MESH_STREAMING_HOST",
            paths::target().join("debug/streaming-host"),
        ),
    ];
    cloud.extend(folders.map(|(name, path)| (name.to_owned(), path.display().to_string())));
    let home = server.as_ref().map(|server| server.dir.settings()).transpose()?;
    let variables = with_home(&cloud, home.as_ref());
    if nextest.is_empty() {
        pytest("localstack/tests/built", &cloud, report)?;
        pytest("localstack/tests/auth", &cloud, report)?;
    }
    report.nextest(nextest_run(&[], nextest)?.envs(&variables))?;
    if nextest.is_empty() {
        report.playwright(&mut browser::tests(&variables, "dashboard")?, "dashboard")?;
        // Streams as the event-stream function sends them.
        report.playwright(&mut browser::tests(&with_home(&cloud, None), "cloud")?, "cloud")?;
        // It runs last, since it sends requests without a pause. Of the local clouds, it uses the one with the release build
        // and few tasks, all of which are sorted for each list.
        let auth = auth.dir.settings()?;
        report.schemathesis(&mut conformance::command(home.as_ref().unwrap_or(&auth))?)?;
    }
    drop((test, auth, server));
    if llm {
        with_language_models(nextest, report)?;
    }
    if nextest.is_empty() {
        for cloud in [false, true] {
            let server = paths::fault_artifacts().join(functions::SERVER);
            report.soak(soak::run(&soak::Args::short(cloud), Some(server)))?;
        }
    }
    Ok(())
}

fn start_server(settings: &Settings, artifacts: &Path) -> Result<Attached> {
    let options = Options {
        kind: Kind::Server,
        faults: true,
        server_program: Some(artifacts.join(functions::SERVER)),
        server_arguments: settings.server_arguments(),
        ..Options::default()
    };
    stack::attached("test-server", &options)
}

/// Runs the tests with a real language model, on a stack for each provider.
fn with_language_models(nextest: &[String], report: &mut Report) -> Result<()> {
    // The tests of the crate use both providers on one stack.
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
        let features = "mesh-language/live,mesh-tests/live";
        let mut live = nextest_run(&["--features", features, "--no-tests=pass", "-E", tests], nextest)?;
        report.nextest(live.envs(with_home(&stack.dir.settings()?, None)))?;
    }
    Ok(())
}

/// The environment variables of the black-box tests: those of the local cloud, whose addresses and token have names of their
/// own, and the addresses and the token of the home under test, which is the local cloud if no other is given.
fn with_home(
    cloud: &BTreeMap<String, String>,
    home: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let mut variables = cloud.clone();
    for (name, of_cloud) in [
        ("AI_MESH_URL", "AI_MESH_CLOUD_URL"),
        ("AI_MESH_TOKEN", "AI_MESH_CLOUD_TOKEN"),
        ("EVENTS_URL", "AI_MESH_CLOUD_EVENTS_URL"),
    ] {
        variables.extend(cloud.get(name).map(|value| (of_cloud.to_owned(), value.clone())));
    }
    variables.extend(
        home.into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    variables
}

fn nextest_run(arguments: &[&str], user_arguments: &[String]) -> Result<Command> {
    let mut command = tools::nextest()?;
    command
        .args(["run", "--workspace", "--locked"])
        .args(arguments)
        .args(user_arguments);
    Ok(command)
}

fn doctests(report: &mut Report) -> Result<()> {
    let mut command = process::command(cargo());
    command.args(["test", "--workspace", "--doc", "--locked"]);
    report.doctests(&mut command)
}

/// Runs the tests of the Python scripts that need none of the stacks. Those of localstack/ start local clouds by
/// themselves.
fn python(unit: bool, report: &mut Report) -> Result<()> {
    let venv = Venv::ensure("models", &paths::root().join("models/requirements.txt"))?;
    let mut command = process::command(venv.bin("python"));
    report.unittest(
        command.args(["-m", "unittest", "discover", "models/tests"]),
        "models/tests",
    )?;
    if !unit {
        pytest("localstack/tests", &BTreeMap::new(), report)?;
    }
    Ok(())
}

fn pytest(folder: &str, variables: &BTreeMap<String, String>, report: &mut Report) -> Result<()> {
    let mut command = process::command(stack::venv()?.bin("python"));
    command.args(["-m", "pytest", folder]).envs(variables);
    report.pytest(&mut command, folder)
}

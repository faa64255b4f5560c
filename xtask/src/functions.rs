//! Builds the functions' artifacts: for each function a folder with `bootstrap` and the libraries and models that it
//! needs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use crate::cache;
use crate::lock;
use crate::models;
use crate::parallel::Parallel;
use crate::paths;
use crate::process;
use crate::venv::Venv;
use crate::web;

/// Each function's folder in functions/ and its logical id in the template.
pub(crate) const FUNCTIONS: [(&str, &str); 8] = [
    ("api", "ApiFunction"),
    ("text-worker", "TextWorkerFunction"),
    ("image-worker", "ImageWorkerFunction"),
    ("audio-worker", "AudioWorkerFunction"),
    ("language-worker", "LanguageWorkerFunction"),
    ("sweeper", "JanitorFunction"),
    ("reactor", "ReactorFunction"),
    ("event-stream", "EventStreamFunction"),
];

/// The server's program, in the artifacts with fault injection.
pub(crate) const SERVER: &str = "mesh-server";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// The output of `sam build`, as deployed to AWS.
    Release,
    /// Cargo's dev profile with fault injection, and mesh-server beside them.
    Faults,
}

/// Builds the artifacts that are out of date, and returns their folder.
pub(crate) fn build(kind: Build) -> Result<PathBuf> {
    let _lock = lock::acquire(&paths::local().join("locks/build"))?;
    let (dashboard, venv) = thread::scope(|scope| {
        let assets = Parallel::start(scope, models::ensure);
        let dashboard = Parallel::start(scope, web::build_if_possible);
        let venv = match kind {
            Build::Release => Some(sam_venv()?),
            Build::Faults => None,
        };
        compile(venv.as_ref())?;
        if kind == Build::Faults {
            keep_server()?;
        }
        assets.result()?;
        let dashboard = if dashboard.result()?.is_some() {
            "on"
        } else {
            "off"
        };
        anyhow::Ok((dashboard, venv))
    })?;
    match venv {
        Some(venv) => release(&venv, dashboard),
        None => faults(dashboard),
    }
}

/// The Python environment with SAM, cargo-lambda and cfn-lint.
pub(crate) fn sam_venv() -> Result<Venv> {
    Venv::ensure("sam", &paths::root().join("infra/requirements.txt"))
}

/// The sam command. It sends no telemetry, does not look for updates, and writes nothing to the user's home.
pub(crate) fn sam(venv: &Venv) -> Result<Command> {
    with_sam_tools(process::command(venv.bin("sam")), venv)
}

/// Adds the environment's tools to the command's PATH, and sets their caches to folders in ours.
fn with_sam_tools(mut command: Command, venv: &Venv) -> Result<Command> {
    let home = cache::root()?.join("sam");
    fs::create_dir_all(&home)?;
    // SAM looks for a newer version a week after this time, which is in the year 3000.
    fs::write(
        home.join("metadata.json"),
        r#"{"telemetryEnabled": false, "lastVersionCheck": 32503680000}"#,
    )?;
    let mut path = OsString::from(venv.bin_dir());
    if let Some(outer) = std::env::var_os("PATH") {
        path.push(":");
        path.push(outer);
    }
    command
        .env("PATH", path)
        .env("SAM_CLI_TELEMETRY", "0")
        .env("__SAM_CLI_APP_DIR", &home)
        .env("CARGO_ZIGBUILD_CACHE_DIR", home.join("zigbuild"))
        .env("ZIG_GLOBAL_CACHE_DIR", home.join("zig"));
    Ok(command)
}

/// Compiles all functions: the build of one compiles them together. That of the api needs no models, and no dashboard if
/// it is left out. With the environment of SAM it is the build for AWS, else that with fault injection.
fn compile(sam: Option<&Venv>) -> Result<()> {
    let (folder, id) = FUNCTIONS[0];
    let (mut command, kind) = match sam {
        // SAM hides the output of its tools. So this is done before it, which shows progress.
        Some(venv) => (with_sam_tools(process::command("make"), venv)?, "release"),
        None => (make_with_faults(), "faults"),
    };
    command.env("AI_MESH_DASHBOARD", "off");
    make(&mut command, folder, id, &paths::local().join("build/compiled"))?;
    process::run(
        &mut command,
        &format!("compiling the functions ({kind})"),
        &format!("build-{kind}"),
    )?;
    Ok(())
}

/// Keeps the server that was compiled together with the functions. Cargo replaces it when it builds the tests.
fn keep_server() -> Result<()> {
    let to = paths::fault_artifacts().join(SERVER);
    fs::create_dir_all(paths::fault_artifacts())?;
    fs::copy(paths::target().join("debug").join(SERVER), &to)
        .with_context(|| format!("can't write {}", paths::display(&to)))?;
    Ok(())
}

fn release(venv: &Venv, dashboard: &str) -> Result<PathBuf> {
    let artifacts = paths::release_artifacts();
    let mut command = sam(venv)?;
    command
        .args(["build", "--template", "infra/template.yaml", "--build-dir"])
        .arg(&artifacts)
        .env("AI_MESH_DASHBOARD", dashboard);
    process::run(&mut command, "sam build", "sam-build")?;
    Ok(artifacts)
}

fn faults(dashboard: &str) -> Result<PathBuf> {
    let artifacts = paths::fault_artifacts();
    for (folder, id) in FUNCTIONS {
        let mut command = make_with_faults();
        make(&mut command, folder, id, &artifacts)?;
        command.env("AI_MESH_DASHBOARD", dashboard);
        process::run(
            &mut command,
            &format!("building {folder} (dev profile, fault injection)"),
            &format!("build-{folder}"),
        )?;
    }
    Ok(artifacts)
}

fn make_with_faults() -> Command {
    let mut command = process::command("make");
    command
        .env("AI_MESH_CARGO_PROFILE", "dev")
        .env("AI_MESH_FEATURES", "faults");
    command
}

/// Adds the arguments with which SAM itself fills a function's folder.
fn make(command: &mut Command, folder: &str, id: &str, artifacts: &Path) -> Result<()> {
    let out = artifacts.join(id);
    fs::create_dir_all(&out).with_context(|| format!("can't make {}", paths::display(&out)))?;
    command
        .args(["--no-print-directory", "-C"])
        .arg(paths::root().join("functions").join(folder));
    command
        .arg(format!("build-{id}"))
        .arg(format!("ARTIFACTS_DIR={}", out.display()));
    Ok(())
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// The output of `sam build`, as deployed to AWS.
    Release,
    /// Cargo's dev profile with fault injection.
    Faults,
}

/// Builds the artifacts that are out of date, and returns their folder.
pub(crate) fn build(kind: Build) -> Result<PathBuf> {
    let (dashboard, venv) = thread::scope(|scope| {
        let assets = Parallel::start(scope, models::ensure);
        let dashboard = Parallel::start(scope, web::build_if_possible);
        let venv = match kind {
            Build::Release => Some(sam_venv()?),
            Build::Faults => None,
        };
        assets.result()?;
        let dashboard = if dashboard.result()?.is_some() {
            "on"
        } else {
            "off"
        };
        anyhow::Ok((dashboard, venv))
    })?;
    let _lock = lock::acquire(&paths::local().join("locks/build"))?;
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

fn release(venv: &Venv, dashboard: &str) -> Result<PathBuf> {
    // SAM hides the output of its tools. So the functions are compiled first, which takes minutes and shows progress.
    let (folder, id) = FUNCTIONS[0];
    let mut command = with_sam_tools(process::command("make"), venv)?;
    command.env("AI_MESH_DASHBOARD", dashboard);
    make(&mut command, folder, id, &paths::local().join("build/release"))?;
    process::run(&mut command, "compiling the functions (release)", "build-release")?;

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
        let mut command = process::command("make");
        make(&mut command, folder, id, &artifacts)?;
        command
            .env("AI_MESH_DASHBOARD", dashboard)
            .env("AI_MESH_CARGO_PROFILE", "dev")
            .env("AI_MESH_FEATURES", "faults");
        process::run(
            &mut command,
            &format!("building {folder} (dev profile, fault injection)"),
            &format!("build-{folder}"),
        )?;
    }
    Ok(artifacts)
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

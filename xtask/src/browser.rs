//! The dashboard in Chromium, against a running stack: its tests, and the screenshots of docs/DASHBOARD.md.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{paths, process, stack, web};

/// The names of Chromium's program, in the order of preference.
const BROWSERS: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];

/// A command for the Playwright tests of a project, with the stack's settings as environment variables.
pub(crate) fn tests(settings: &BTreeMap<String, String>, project: &str) -> Result<Command> {
    web::install_packages()?;
    let browser = find()?;
    let mut command = web::tool("playwright");
    command.args(["test", "--project", project]);
    command
        .envs(settings)
        .env("AI_MESH_CHROMIUM", browser)
        .env("AI_MESH_WEB_TRACES", paths::local().join("logs/web"));
    Ok(command)
}

/// `cargo xtask web --screenshots`, on a stack of its own.
pub(crate) fn screenshots() -> Result<()> {
    find()?;
    let options = stack::Options {
        faults: true,
        auth: true,
        ..stack::Options::default()
    };
    let stack = stack::attached("screenshots", &options)?;
    let mut command = tests(&stack.dir.settings()?, "screenshots")?;
    process::run(&mut command, "taking screenshots of the dashboard", "screenshots")?;
    println!("The screenshots are in docs/images.");
    Ok(())
}

/// `$AI_MESH_CHROMIUM`, else the first that is on the PATH.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("AI_MESH_CHROMIUM") {
        return Ok(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = BROWSERS.iter().find_map(|name| {
        let mut candidates = std::env::split_paths(&path).map(|folder| folder.join(name));
        candidates.find(|candidate| candidate.is_file())
    });
    found.context(
        "Chromium is missing, and the dashboard's tests run in it: apt-get install chromium, or set AI_MESH_CHROMIUM",
    )
}

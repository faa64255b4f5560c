//! `cargo xtask clients`: generates a Python and a TypeScript client from docs/openapi.json, as a user would. Each
//! client submits a text to a stack and waits for the result.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::stack::{self, DEFAULT_NAME, Kind, Options, StackDir};
use crate::venv::Venv;
use crate::{paths, process};

/// The server that is started if the default stack is not up.
const NAME: &str = "clients";

pub(crate) fn run() -> Result<()> {
    let options = |kind| Options {
        kind,
        ..Options::default()
    };
    for kind in [Kind::Server, Kind::Cloud] {
        if let Some(stack) = stack::running(DEFAULT_NAME, &options(kind))? {
            eprintln!("- using what `cargo xtask up` started");
            return generate_all(&stack);
        }
    }
    let stack = stack::attached(NAME, &options(Kind::Server))?;
    generate_all(&stack.dir)
}

fn generate_all(stack: &StackDir) -> Result<()> {
    let mut settings = stack.settings()?;
    settings.retain(|name, _| ["AI_MESH_URL", "AI_MESH_TOKEN"].contains(&name.as_str()));
    let out = paths::local().join("clients");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("can't remove {}", paths::display(&out)))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("can't make {}", paths::display(&out)))?;
    println!("Python: {}", python(&out, &settings)?);
    println!("TypeScript: {}", typescript(&out, &settings)?);
    println!("The clients are in {}.", paths::display(&out));
    Ok(())
}

fn python(out: &Path, settings: &BTreeMap<String, String>) -> Result<String> {
    let folder = paths::root().join("clients");
    let venv = Venv::ensure("clients", &folder.join("requirements.txt"))?;
    let client = out.join("python");
    let mut generate = process::command(venv.bin("openapi-python-client"));
    generate
        .args(["generate", "--fail-on-warning", "--path"])
        .arg(document());
    generate.arg("--output-path").arg(&client);
    // The generator formats its output with the environment's ruff.
    let path = std::env::join_paths([venv.bin_dir()].into_iter().chain(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    )))?;
    process::run(
        generate.env("PATH", path),
        "generating the Python client",
        "clients-python",
    )?;
    let mut call = process::command(venv.bin("python"));
    call.arg(folder.join("call.py"))
        .env("PYTHONPATH", &client)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(settings);
    run_call(&mut call, "calling the API from Python", "clients-python-call")
}

fn typescript(out: &Path, settings: &BTreeMap<String, String>) -> Result<String> {
    let client = out.join("typescript");
    fs::create_dir_all(&client)?;
    for file in ["call.ts", "package.json", "package-lock.json", "tsconfig.json"] {
        let from = paths::root().join("clients/typescript").join(file);
        fs::copy(&from, client.join(file))
            .with_context(|| format!("can't copy {}", paths::display(&from)))?;
    }
    let mut install = process::command("npm");
    install
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(&client);
    process::run(
        &mut install,
        "installing the packages for TypeScript",
        "clients-npm",
    )
    .context("npm failed: is Node.js 20 or newer installed, and is the network up?")?;
    let tool = |name: &str| {
        let mut command = process::command(client.join("node_modules/.bin").join(name));
        command.current_dir(&client);
        command
    };
    let mut generate = tool("openapi-typescript");
    generate.arg(document()).args(["--output", "schema.d.ts"]);
    process::run(
        &mut generate,
        "generating the TypeScript types",
        "clients-typescript",
    )?;
    process::run(
        &mut tool("tsc"),
        "checking the types of the TypeScript call",
        "clients-tsc",
    )?;
    let mut call = process::command("node");
    call.arg("built/call.js").current_dir(&client).envs(settings);
    run_call(
        &mut call,
        "calling the API from TypeScript",
        "clients-typescript-call",
    )
}

fn document() -> PathBuf {
    paths::root().join("docs/openapi.json")
}

/// Runs a call and returns the last line of its output.
fn run_call(command: &mut Command, title: &str, log: &str) -> Result<String> {
    let output = process::run(command, title, log)?;
    Ok(output.lines().last().unwrap_or_default().to_owned())
}

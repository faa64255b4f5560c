//! `cargo xtask clients`: makes a client of docs/openapi.json in Python and in TypeScript, as its users would, and has each
//! submit a text to a stack and wait for the result.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::stack::{self, DEFAULT_NAME, Options};
use crate::venv::Venv;
use crate::{paths, process};

/// The stack that is started where none is up.
const NAME: &str = "clients";

pub(crate) fn run() -> Result<()> {
    let options = Options::default();
    if let Some(place) = stack::running(DEFAULT_NAME, &options)? {
        eprintln!("- using the stack that `cargo xtask up` started");
        return make_all(&settings(&place.env())?);
    }
    let stack = stack::attached(NAME, &options)?;
    make_all(&settings(&stack.place.env())?)
}

fn settings(env: &Path) -> Result<BTreeMap<String, String>> {
    let settings = stack::parse_env(&fs::read_to_string(env)?)?;
    let known = ["AI_MESH_URL", "AI_MESH_TOKEN"];
    Ok(settings
        .into_iter()
        .filter(|(name, _)| known.contains(&name.as_str()))
        .collect())
}

fn make_all(settings: &BTreeMap<String, String>) -> Result<()> {
    let made = paths::local().join("clients");
    if made.exists() {
        fs::remove_dir_all(&made).with_context(|| format!("can't remove {}", paths::shown(&made)))?;
    }
    fs::create_dir_all(&made).with_context(|| format!("can't make {}", paths::shown(&made)))?;
    println!("Python: {}", python(&made, settings)?);
    println!("TypeScript: {}", typescript(&made, settings)?);
    println!("The clients are in {}.", paths::shown(&made));
    Ok(())
}

fn python(made: &Path, settings: &BTreeMap<String, String>) -> Result<String> {
    let folder = paths::root().join("clients");
    let venv = Venv::ensure("clients", &folder.join("requirements.txt"))?;
    let client = made.join("python");
    let mut generate = process::command(venv.bin("openapi-python-client"));
    generate
        .args(["generate", "--fail-on-warning", "--path"])
        .arg(document());
    generate.arg("--output-path").arg(&client);
    // It formats what it made with the ruff beside it.
    let path = std::env::join_paths([venv.bin_dir()].into_iter().chain(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    )))?;
    process::run(
        generate.env("PATH", path),
        "making the Python client",
        "clients-python",
    )?;
    let mut call = process::command(venv.bin("python"));
    call.arg(folder.join("call.py"))
        .env("PYTHONPATH", &client)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(settings);
    called(&mut call, "calling the API from Python", "clients-python-call")
}

fn typescript(made: &Path, settings: &BTreeMap<String, String>) -> Result<String> {
    let client = made.join("typescript");
    fs::create_dir_all(&client)?;
    for file in ["call.ts", "package.json", "package-lock.json", "tsconfig.json"] {
        let from = paths::root().join("clients/typescript").join(file);
        fs::copy(&from, client.join(file)).with_context(|| format!("can't copy {}", paths::shown(&from)))?;
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
    .context("npm did not install them: are Node.js 20 or newer and the network there?")?;
    let tool = |name: &str| {
        let mut command = process::command(client.join("node_modules/.bin").join(name));
        command.current_dir(&client);
        command
    };
    let mut generate = tool("openapi-typescript");
    generate.arg(document()).args(["--output", "schema.d.ts"]);
    process::run(&mut generate, "making the TypeScript types", "clients-typescript")?;
    process::run(&mut tool("tsc"), "checking the call against them", "clients-tsc")?;
    let mut call = process::command("node");
    call.arg("built/call.js").current_dir(&client).envs(settings);
    called(
        &mut call,
        "calling the API from TypeScript",
        "clients-typescript-call",
    )
}

fn document() -> PathBuf {
    paths::root().join("docs/openapi.json")
}

/// The last line of what a call prints.
fn called(command: &mut Command, title: &str, log: &str) -> Result<String> {
    let output = process::run(command, title, log)?;
    Ok(output.lines().last().unwrap_or_default().to_owned())
}

//! schemathesis: sends about 3,000 valid and invalid requests, generated from the API's OpenAPI document. Each
//! response must conform to the document.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};

use crate::venv::Venv;
use crate::{paths, process};

const TIMEOUT_SECONDS: &str = "900";

/// A command that tests the stack with these settings.
pub(super) fn command(settings: &BTreeMap<String, String>) -> Result<Command> {
    let folder = paths::root().join("tests/conformance");
    let venv = Venv::ensure("conformance", &folder.join("requirements.txt"))?;
    let url = settings
        .get("AI_MESH_URL")
        .context("stack.env has no AI_MESH_URL")?;
    let mut command = process::command("timeout");
    command.arg(TIMEOUT_SECONDS).arg(venv.bin("schemathesis"));
    command.arg("--config-file").arg(folder.join("schemathesis.toml"));
    // On a local cloud the API's address has a path, which schemathesis does not put before the document's relative
    // one.
    command.arg("run").args(["--url", url]);
    command.arg(format!("{url}/openapi.json"));
    command
        .current_dir(paths::root())
        .envs(settings)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

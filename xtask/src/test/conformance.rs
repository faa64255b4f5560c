//! schemathesis: requests made of the API's own document, those that fit it and those that don't, some 3,000 in all. What
//! is answered must be as the document says.

use std::process::Command;

use anyhow::{Context, Result};

use crate::venv::Venv;
use crate::{paths, process};

/// After so long it is given up, in seconds.
const AT_MOST: &str = "900";

/// A run against the stack that the variables name.
pub(super) fn command(variables: &[(String, String)]) -> Result<Command> {
    let folder = paths::root().join("tests/conformance");
    let venv = Venv::ensure("conformance", &folder.join("requirements.txt"))?;
    let url = variables.iter().find(|(name, _)| name == "AI_MESH_URL");
    let (_, url) = url.context("stack.env has no AI_MESH_URL")?;
    let mut command = process::command("timeout");
    command.arg(AT_MOST).arg(venv.bin("schemathesis"));
    command.arg("--config-file").arg(folder.join("schemathesis.toml"));
    // Where the API lies below a path, as on a local cloud, the document's relative address is not resolved against it.
    command.arg("run").args(["--url", url]);
    command.arg(format!("{url}/openapi.json"));
    command
        .current_dir(paths::root())
        .envs(variables.iter().cloned())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

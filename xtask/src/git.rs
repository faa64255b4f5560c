//! Calls git in the repository.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths;

/// Runs a git command and returns its output.
pub(crate) fn run(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .current_dir(paths::root())
        .args(arguments)
        .output()
        .context("can't run git: install it")?;
    if !output.status.success() {
        bail!(
            "git {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

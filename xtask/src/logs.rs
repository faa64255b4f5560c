//! `cargo xtask logs`: what the functions of a running stack logged.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::functions::FUNCTIONS;
use crate::process;
use crate::stack::{self, Place};

const SCRIPT: &str = include_str!("logs.py");

pub(crate) fn run(name: &str, function: Option<&str>, follow: bool) -> Result<()> {
    if let Some(function) = function
        && !FUNCTIONS.iter().any(|(folder, _)| *folder == function)
    {
        let known: Vec<&str> = FUNCTIONS.iter().map(|(folder, _)| *folder).collect();
        bail!(
            "there is no function `{function}`: take one of {}, or none for all",
            known.join(", ")
        );
    }
    let place = Place::named(name)?;
    let text = fs::read_to_string(place.env())
        .with_context(|| format!("the stack `{name}` is not up: start it with `cargo xtask up`"))?;
    let python = stack::venv()?;
    let mut command = process::command(python.bin("python"));
    command
        .arg("-c")
        .arg(SCRIPT)
        .arg(function.unwrap_or("all"))
        .arg(if follow { "1" } else { "0" });
    let settings = stack::parse_env(&text)?;
    command.envs(settings.iter().filter(|(name, _)| name.starts_with("AWS_")));
    let status = process::run_shown(&mut command)?;
    if !status.success() {
        bail!(
            "the logs could not be read; the local cloud's own log is {}",
            place.log().display()
        );
    }
    Ok(())
}

//! `cargo xtask logs`: prints the log of a server, or the logs of a local cloud's functions, by a Python script that calls
//! CloudWatch Logs.

use anyhow::{Context, Result, bail};

use crate::functions::FUNCTIONS;
use crate::process;
use crate::stack::{self, Kind, StackDir};

const SCRIPT: &str = include_str!("logs.py");

pub(crate) fn run(name: &str, function: Option<&str>, follow: bool) -> Result<()> {
    if let Some(function) = function
        && !FUNCTIONS.iter().any(|(folder, _)| *folder == function)
    {
        let functions: Vec<&str> = FUNCTIONS.iter().map(|(folder, _)| *folder).collect();
        bail!(
            "unknown function `{function}`: expected one of {}, or none for all",
            functions.join(", ")
        );
    }
    let stack = StackDir::new(name)?;
    let settings = stack
        .settings()
        .with_context(|| format!("the stack `{name}` is not up: start it with `cargo xtask up`"))?;
    if stack.state()?.is_some_and(|state| state.kind == Kind::Server) {
        return print_server_log(&stack, function, follow);
    }
    let python = stack::venv()?;
    let mut command = process::command(python.bin("python"));
    command
        .arg("-c")
        .arg(SCRIPT)
        .arg(function.unwrap_or("all"))
        .arg(if follow { "1" } else { "0" });
    command.envs(settings.iter().filter(|(name, _)| name.starts_with("AWS_")));
    let status = process::run_on_terminal(&mut command)?;
    if !status.success() {
        bail!(
            "can't read the logs: look at the local cloud's own log, {}",
            stack.log_file().display()
        );
    }
    Ok(())
}

fn print_server_log(stack: &StackDir, function: Option<&str>, follow: bool) -> Result<()> {
    if let Some(function) = function {
        bail!("the server writes one log for all its parts: leave out `{function}`");
    }
    let mut command = process::command("tail");
    command.args(["--lines", "+1"]);
    if follow {
        command.arg("--follow");
    }
    let log = stack.server_log_file();
    let status = process::run_on_terminal(command.arg("--").arg(&log))?;
    if !status.success() {
        bail!("can't read {}: tail ended with {status}", log.display());
    }
    Ok(())
}

//! Runs tools: their output goes to a log file, and an error shows the last lines of it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use mesh_supervisor::{OnSignal, SupervisedChild, guard};

use crate::paths;
use crate::progress::Step;

/// How many of a failed tool's last lines an error shows.
const TAIL_LINES: usize = 25;

/// A command for a program that ends with this process. It does not inherit the caller's AWS and AI Mesh settings:
/// pass it those that it needs.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    with_clean_environment(guard::command(program))
}

/// The same for a program that outlives this process.
pub(crate) fn detached_command(program: impl AsRef<OsStr>) -> Command {
    with_clean_environment(guard::detached_command(program))
}

fn with_clean_environment(mut command: Command) -> Command {
    command.current_dir(paths::root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // All commands share one cache, so its path is inherited.
        let is_setting =
            (text.starts_with("AWS_") || text.starts_with("AI_MESH_")) && text != "AI_MESH_CACHE";
        // They describe the xtask package. A cargo that the tool runs would take them for its own, and build scripts that read
        // them, such as ring's, would run again each time that cargo is called by xtask and then by hand.
        let is_package = ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        if is_setting || is_package {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a tool as a step with a title, writes its output to `.local/logs/<log>.log`, and returns its standard output.
pub(crate) fn run(command: &mut Command, title: &str, log: &str) -> Result<String> {
    let mut step = Step::start(title);
    let output = run_in_step(command, &mut step, log).with_context(|| format!("{title} failed"))?;
    step.done("");
    Ok(output)
}

/// Like [`run`], as part of a step that the caller has started.
pub(crate) fn run_in_step(command: &mut Command, step: &mut Step, log: &str) -> Result<String> {
    let path = paths::log(log);
    fs::create_dir_all(paths::local().join("logs"))?;
    let mut file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = SupervisedChild::spawn("the tool", command, OnSignal::Terminate)?;
    let (sender, lines) = mpsc::channel();
    let stdout = tool.take_stdout().map(|pipe| read_stdout(pipe, sender.clone()));
    if let Some(pipe) = tool.take_stderr() {
        thread::spawn(move || forward(pipe, &sender));
    }
    let mut latest = String::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                writeln!(file, "{line}")?;
                if !line.trim().is_empty() {
                    latest = line.trim().to_owned();
                }
                step.update(&latest);
            }
            Err(RecvTimeoutError::Timeout) => step.update(&latest),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = tool.wait()?;
    if !status.success() {
        return Err(anyhow!(
            "the tool ended with {status}. Its last lines:\n    {}\n  The whole output: {}",
            tail(&path),
            paths::display(&path)
        ));
    }
    stdout.map_or_else(
        || Ok(String::new()),
        |thread| {
            thread
                .join()
                .map_err(|_| anyhow!("the thread that reads the output panicked"))
        },
    )
}

fn read_stdout(pipe: ChildStdout, sender: Sender<String>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let lines = forward(pipe, &sender);
        lines.join("\n")
    })
}

fn forward(pipe: impl Read, sender: &Sender<String>) -> Vec<String> {
    let mut all = Vec::new();
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        // Without a receiver the rest is still read: a full pipe would stop the tool.
        let _ = sender.send(line.clone());
        all.push(line);
        bytes.clear();
    }
    all
}

/// Runs a tool that writes directly to the terminal, such as a test runner.
pub(crate) fn run_on_terminal(command: &mut Command) -> Result<ExitStatus> {
    SupervisedChild::spawn("the tool", command, OnSignal::Terminate)?.wait()
}

/// The last lines of a log file that are not blank, for an error.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n    ")
}

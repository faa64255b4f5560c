//! Running tools: output to a log file, the last lines of it in the error, and an end when xtask ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::Signal;

use crate::interrupt::{self, Groups, Kind};
use crate::paths;
use crate::progress::Step;

/// How many of a failed tool's last lines an error shows.
const TAIL: usize = 25;

/// A command for a program that must end with this process. It has a process group of its own, reads no input, and
/// knows nothing of the caller's AWS and AI Mesh settings: what a tool needs of them, it is given.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    guarded(&["--parent", &std::process::id().to_string()], program.as_ref())
}

/// A command for a program that goes on after this process, in a session of its own.
pub(crate) fn detached(program: impl AsRef<OsStr>) -> Command {
    guarded(&[], program.as_ref())
}

fn guarded(how: &[&str], program: &OsStr) -> Command {
    // Resolved after the fork: it stays this very program, even when a build replaces its file meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg("__guard").args(how).arg("--").arg(program);
    if !how.is_empty() {
        command.process_group(0);
    }
    command.stdin(Stdio::null()).current_dir(paths::root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // The cache's place must be the same for everyone.
        if (text.starts_with("AWS_") || text.starts_with("AI_MESH_")) && text != "AI_MESH_CACHE" {
            command.env_remove(&name);
        }
    }
    // Cargo's description of xtask itself would mislead the cargo that a tool runs.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"] {
        command.env_remove(name);
    }
    command
}

/// A running child, killed with its whole group if it is dropped before its end was seen.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    ended: bool,
}

impl Running {
    pub(crate) fn spawn(command: &mut Command, kind: Kind) -> Result<Self> {
        let mut groups = Groups::lock();
        interrupt::check()?;
        let child = command.spawn().context("can't start a child process")?;
        groups.add(child.id(), kind);
        Ok(Self { child, ended: false })
    }

    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait()?;
        if interrupt::is_interrupted() {
            // What the tool had started may have shrugged off the polite signal.
            interrupt::signal_group(self.child.id(), Signal::KILL);
        }
        self.forget();
        interrupt::check()?;
        Ok(status)
    }

    /// The exit status if the child has ended.
    pub(crate) fn poll(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Gives up all claim to the child: it lives on.
    pub(crate) fn forget(&mut self) {
        self.ended = true;
        Groups::lock().remove(self.child.id());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            interrupt::signal_group(self.child.id(), Signal::KILL);
            // Killed a line above: the wait can't last, and its status says nothing new.
            let _ = self.child.wait();
            self.forget();
        }
    }
}

/// Runs a tool under a title, its output in `.local/logs/<log>.log`, and returns its standard output.
pub(crate) fn run(command: &mut Command, title: &str, log: &str) -> Result<String> {
    let mut step = Step::start(title);
    let output = run_in(command, &mut step, log).with_context(|| format!("{title} failed"))?;
    step.done("");
    Ok(output)
}

/// Like [`run`], as a part of a step that is under way.
pub(crate) fn run_in(command: &mut Command, step: &mut Step, log: &str) -> Result<String> {
    let path = paths::log(log);
    fs::create_dir_all(paths::local().join("logs"))?;
    let mut file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::spawn(command, Kind::Tool)?;
    let (sender, lines) = mpsc::channel();
    let stdout = running
        .child
        .stdout
        .take()
        .map(|pipe| read_stdout(pipe, sender.clone()));
    if let Some(pipe) = running.child.stderr.take() {
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
    let status = running.wait()?;
    if !status.success() {
        return Err(failure(status, &path));
    }
    stdout.map_or_else(
        || Ok(String::new()),
        |thread| thread.join().map_err(|_| anyhow!("output was lost")),
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
        // Whoever listened may have gone; the rest is still read, so that the tool isn't held up by a full pipe.
        let _ = sender.send(line.clone());
        all.push(line);
        bytes.clear();
    }
    all
}

/// Runs a tool whose output goes straight to the person, as a test runner's does.
pub(crate) fn run_shown(command: &mut Command) -> Result<ExitStatus> {
    Running::spawn(command, Kind::Tool)?.wait()
}

fn failure(status: ExitStatus, log: &Path) -> anyhow::Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n    ");
    anyhow!(
        "it ended with {status}. Its last lines:\n    {tail}\n  The whole output: {}",
        paths::shown(log)
    )
}

/// The last lines of a log file, for an error.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n    ")
}

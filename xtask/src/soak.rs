//! `cargo xtask soak`: runs a load of tasks on a stack of its own under random faults: on a server, or on a local cloud whose
//! calls to AWS also fail.
//!
//! The program in tests/soak makes the load and checks the outcome. It requests what only the stack's owner can do,
//! such as a restart, by a line on its output, and waits for a line with the reply.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mesh_supervisor::{OnSignal, SupervisedChild, signals};
use rustix::process::Signal;

use crate::paths;
use crate::process;
use crate::stack::{self, Attached, Kind, Options, StackProcess};
use crate::tools::cargo;

/// The prefix of a line with a request.
const REQUEST: &str = "do ";

/// The probability of each fault for each kind of call, in the syntax of `mesh_aws::faults`.
const CALL_FAULTS: &str = "*=before:0.004, *=after:0.004, *=resend:0.01, *=throttle:0.01, *=delay:0.005, \
                           UpdateItem=abort:0.0003, SendMessage=abort:0.0005";

/// The back-offs of the server are short, so that many attempts fit into a soak.
const SERVER_ARGUMENTS: [&str; 2] = ["--retry-base-seconds=1", "--retry-cap-seconds=2"];

/// The times are short, so that each occurs often. The worker's timeout is longer than the lease, so that a paused
/// worker loses its lease before it is killed.
const PARAMETERS: [(&str, &str); 8] = [
    ("WorkerTimeoutSeconds", "12"),
    ("VisibilityTimeoutSeconds", "72"),
    ("RetryBaseSeconds", "1"),
    ("RetryCapSeconds", "2"),
    ("LeaseSeconds", "3"),
    ("DueAfterSeconds", "3"),
    ("TextConcurrency", "6"),
    ("ImageConcurrency", "3"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long, default_value_t = 10_000)]
    tasks: u32,
    /// Determines the tasks and when which fault is injected
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run on a local cloud, in place of the server
    #[arg(long)]
    cloud: bool,
    /// Disables a guard, to verify that the soak detects it: fence or claim
    #[arg(long, value_parser = ["fence", "claim"], requires = "cloud")]
    broken: Option<String>,
}

impl Args {
    /// The soak that is part of `cargo xtask test`.
    pub(crate) fn short(cloud: bool) -> Self {
        Self {
            tasks: 500,
            seed: 1,
            cloud,
            broken: None,
        }
    }

    fn options(&self, server_program: Option<PathBuf>) -> Options {
        if !self.cloud {
            return Options {
                kind: Kind::Server,
                faults: true,
                server_program,
                server_arguments: SERVER_ARGUMENTS.map(str::to_owned).into(),
                ..Options::default()
            };
        }
        let mut function_environment = BTreeMap::from([
            ("AI_MESH_CALL_FAULTS".to_owned(), CALL_FAULTS.to_owned()),
            ("AI_MESH_FAULT_SEED".to_owned(), self.seed.to_string()),
        ]);
        function_environment.extend(
            self.broken
                .clone()
                .map(|guard| ("AI_MESH_BROKEN".to_owned(), guard)),
        );
        Options {
            kind: Kind::Cloud,
            faults: true,
            persist: true,
            parameters: PARAMETERS
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            function_environment,
            ..Options::default()
        }
    }
}

/// Runs a soak. `server_program` is a server with fault injection, where one is compiled already.
pub(crate) fn run(args: &Args, server_program: Option<PathBuf>) -> Result<()> {
    let options = args.options(server_program);
    build()?;
    let mut stack = stack::attached(&format!("soak-{}", args.seed), &options)?;
    let mut command = load(args, &stack)?;
    let mut load = SupervisedChild::spawn("the soak", &mut command, OnSignal::Terminate)?;
    let mut replies = load.take_stdin().context("the soak has no input")?;
    let output = load.take_stdout().context("the soak has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        signals::check()?;
        match line.strip_prefix(REQUEST) {
            Some(request) => {
                let reply = perform(request, &mut stack, &options)?;
                writeln!(replies, "{reply}")?;
            }
            None => println!("{line}"),
        }
    }
    let status = load.wait()?;
    if !status.success() {
        bail!(
            "the soak of {} tasks with seed {} failed ({status})",
            args.tasks,
            args.seed
        );
    }
    Ok(())
}

/// Builds the soak together with the tests. By itself it would have other features, and cargo would recompile
/// everything.
fn build() -> Result<()> {
    let mut command = process::command(cargo());
    command.args(["test", "--workspace", "--test", "cloud", "--no-run", "--locked"]);
    process::run(&mut command, "building the soak", "soak-build")?;
    Ok(())
}

fn load(args: &Args, stack: &Attached) -> Result<Command> {
    let mut command = process::command(paths::target().join("debug/soak"));
    command
        .args([
            "--tasks",
            &args.tasks.to_string(),
            "--seed",
            &args.seed.to_string(),
        ])
        .envs(stack.dir.settings()?)
        .env("AI_MESH_ASSETS", paths::assets())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if !args.cloud {
        command.arg("--data").arg(stack.dir.data_dir());
    }
    Ok(command)
}

/// Performs a request, and returns a description of it for the report.
fn perform(request: &str, stack: &mut Attached, options: &Options) -> Result<String> {
    let arguments: Vec<_> = request.split_whitespace().collect();
    match arguments[..] {
        ["restart"] => {
            stack.restart(options)?;
            Ok("restarted the stack".to_owned())
        }
        ["crash"] => {
            stack.crash()?;
            Ok("killed the server".to_owned())
        }
        ["check"] => Ok(match stack.check()? {
            None => "whole".to_owned(),
            Some(damage) => damage.replace('\n', " "),
        }),
        ["freeze", milliseconds] => {
            pause(&stack.leader()?, milliseconds).map(|()| "paused the server".to_owned())
        }
        ["kill", index] => inject(stack, index, |process| {
            process.send(Signal::KILL);
            Ok("killed")
        }),
        ["fill", index] => inject(stack, index, |process| {
            process.block_file_writes();
            Ok("blocked file writes of")
        }),
        ["pause", index, milliseconds] => inject(stack, index, |process| {
            pause(process, milliseconds).map(|()| "paused")
        }),
        _ => bail!("unknown request of the soak: {request}"),
    }
}

fn pause(process: &StackProcess, milliseconds: &str) -> Result<()> {
    let time = Duration::from_millis(milliseconds.parse()?);
    process.send(Signal::STOP);
    let slept = signals::sleep(time);
    process.send(Signal::CONT);
    slept
}

/// Injects a fault into one of the processes of functions or models. The index is taken modulo their number.
fn inject(
    stack: &Attached,
    index: &str,
    fault: impl Fn(&StackProcess) -> Result<&'static str>,
) -> Result<String> {
    let processes = stack.child_processes()?;
    let index: usize = index.parse()?;
    let Some(process) = processes.get(index % processes.len().max(1)) else {
        return Ok("no such process was running".to_owned());
    };
    // Before the fault, after which the process may have ended.
    let role = process.role();
    Ok(format!("{} {role}", fault(process)?))
}

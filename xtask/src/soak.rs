//! `cargo xtask soak`: a stack of its own whose calls to AWS fail at random, and a load of tasks on it. The program that
//! makes the load and passes judgement is tests/soak; what only the owner of the stack can do, it asks for by a line on
//! its output and waits for the answer.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::interrupt::{self, Kind};
use crate::paths;
use crate::process::{self, Running};
use crate::stack::{self, Attached, Options};
use crate::tools::cargo;

/// What a line begins with that asks for a deed.
const REQUEST: &str = "do ";

/// How many in a hundred calls of each kind go wrong, in the words of `mesh_cloud::faults`.
const CALL_FAULTS: &str = "*=before:0.004, *=after:0.004, *=resend:0.01, *=throttle:0.01, *=delay:0.005, \
                           UpdateItem=abort:0.0003, SendMessage=abort:0.0005";

/// Times so short that a soak sees many of each, and yet so long that a paused worker outlives its lease before it is
/// killed for its timeout.
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
    /// What each task asks for, and which deeds come when, follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Takes a guard away, to see that the soak would notice: fence or claim
    #[arg(long, value_parser = ["fence", "claim"])]
    broken: Option<String>,
}

impl Args {
    /// As it runs among the tests.
    pub(crate) fn short() -> Self {
        Self {
            tasks: 500,
            seed: 1,
            broken: None,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut function_environment = BTreeMap::from([
        ("AI_MESH_CALL_FAULTS".to_owned(), CALL_FAULTS.to_owned()),
        ("AI_MESH_FAULT_SEED".to_owned(), args.seed.to_string()),
    ]);
    if let Some(guard) = &args.broken {
        function_environment.insert("AI_MESH_BROKEN".to_owned(), guard.clone());
    }
    let parameters = PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = Options {
        auth: false,
        faults: true,
        persist: true,
        llm: None,
        parameters: parameters.into(),
        function_environment,
    };
    build()?;
    let mut stack = stack::attached(&format!("soak-{}", args.seed), &options)?;
    let mut command = load(args, &stack)?;
    let mut load = Running::spawn(&mut command, Kind::Tool)?;
    let mut answers = load.child.stdin.take().context("the soak has no input")?;
    let output = load.child.stdout.take().context("the soak has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        interrupt::check()?;
        match line.strip_prefix(REQUEST) {
            Some(request) => {
                let done = perform(request, &mut stack, &options)?;
                writeln!(answers, "{done}")?;
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

/// Builds it as the tests are built, which take it along: of what has other features cargo would compile everything anew.
fn build() -> Result<()> {
    let mut command = process::command(cargo());
    command.args([
        "test",
        "--workspace",
        "--test",
        "black_box",
        "--no-run",
        "--locked",
    ]);
    process::run(&mut command, "building the soak", "soak-build")?;
    Ok(())
}

fn load(args: &Args, stack: &Attached) -> Result<Command> {
    let settings = stack::parse_env(&fs::read_to_string(stack.place.env())?)?;
    let mut command = process::command(paths::target().join("debug/soak"));
    command
        .args([
            "--tasks",
            &args.tasks.to_string(),
            "--seed",
            &args.seed.to_string(),
        ])
        .envs(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command)
}

/// Does what the soak asks for and says what it was.
fn perform(request: &str, stack: &mut Attached, options: &Options) -> Result<String> {
    let words: Vec<_> = request.split_whitespace().collect();
    match words[..] {
        ["restart"] => {
            stack.restart(options)?;
            Ok("the local cloud was restarted".to_owned())
        }
        ["kill", roll] => strike(stack, roll, |member| {
            member.signal(Signal::KILL);
            Ok("killed")
        }),
        ["fill", roll] => strike(stack, roll, |member| {
            member.refuse_files();
            Ok("no room for files was left to")
        }),
        ["pause", roll, milliseconds] => {
            let time = Duration::from_millis(milliseconds.parse()?);
            strike(stack, roll, |member| {
                member.signal(Signal::STOP);
                let slept = interrupt::pause(time);
                member.signal(Signal::CONT);
                slept.map(|()| "paused")
            })
        }
        _ => bail!("the soak asks for what nobody can do: {request}"),
    }
}

/// Does something to one of the functions' processes, whichever the roll says.
fn strike(
    stack: &Attached,
    roll: &str,
    deed: impl Fn(&stack::Member) -> Result<&'static str>,
) -> Result<String> {
    let functions = stack.functions()?;
    let roll: usize = roll.parse()?;
    let Some(chosen) = functions.get(roll % functions.len().max(1)) else {
        return Ok("there was nobody to strike".to_owned());
    };
    let function = chosen.function();
    Ok(format!("{} {function}", deed(chosen)?))
}

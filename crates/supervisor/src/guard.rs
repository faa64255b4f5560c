//! Runs a few lines between fork and exec, so that a child ends when its supervisor does, whatever ends the
//! supervisor.
//!
//! The standard library offers this only through an unsafe hook. So a command starts the supervisor's own program
//! again, which sets the attributes for itself and then becomes the wanted program.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};

const SUBCOMMAND: &str = "__guard";
const DETACHED: &str = "detached";

/// The exit code of a program that could not be started, as shells have it.
const NOT_STARTED: u8 = 127;

/// A command for a program that ends with this process. It has a process group of its own and an empty input.
///
/// The kernel ends the child with the thread that started it, so start it on a thread that lives long enough.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = guarded(&std::process::id().to_string(), program.as_ref());
    command.process_group(0);
    command
}

/// A command for a program that outlives this process, in a session of its own.
pub fn detached_command(program: impl AsRef<OsStr>) -> Command {
    guarded(DETACHED, program.as_ref())
}

fn guarded(parent: &str, program: &OsStr) -> Command {
    // The kernel resolves this path after the fork: it names this very program, even if a build replaces the file.
    let mut command = Command::new("/proc/self/exe");
    command
        .args([SUBCOMMAND, parent])
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// Becomes the wanted program if this process was started by [`command`] or [`detached_command`]. Call it first in
/// `main`, and return the exit code if there is one.
pub fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != SUBCOMMAND {
        return None;
    }
    let Err(error) = exec(arguments);
    eprintln!("error: {error:?}");
    Some(ExitCode::from(NOT_STARTED))
}

fn exec(mut arguments: impl Iterator<Item = OsString>) -> Result<Infallible> {
    let parent = arguments.next().context("no parent process is given")?;
    let program = arguments.next().context("no program is given")?;
    if parent == DETACHED {
        setsid()?;
    } else {
        let parent: u32 = parent
            .to_string_lossy()
            .parse()
            .context("the parent is not a process id")?;
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // If the parent ended before the line above, no signal will come.
        if getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(parent) {
            bail!("the parent process has ended");
        }
    }
    let error = Command::new(&program).args(arguments).exec();
    bail!("can't start {}: {error}", program.display())
}

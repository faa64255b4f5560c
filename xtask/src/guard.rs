//! `xtask __guard`: the few lines between fork and exec that a child needs to end when xtask does, whatever ends it.
//!
//! The standard library offers them only through an unsafe hook; a process that sets them for itself and then becomes
//! the tool needs none.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, bail};
use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The process that this one must not outlive; without it the child gets a session of its own and stays.
    #[arg(long)]
    parent: Option<u32>,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Becomes the command. Returns only if that fails.
pub(crate) fn exec(args: &Args) -> Result<()> {
    match args.parent {
        Some(parent) => {
            set_parent_process_death_signal(Some(Signal::TERM))?;
            // The parent may have ended just before: then no signal will ever come.
            if getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(parent) {
                bail!("the parent process has ended");
            }
        }
        None => {
            setsid()?;
        }
    }
    let Some((program, rest)) = args.command.split_first() else {
        bail!("no command")
    };
    let error = Command::new(program).args(rest).exec();
    bail!("can't start {}: {error}", program.display())
}

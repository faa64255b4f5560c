//! Ctrl-C, `kill` and a closed terminal: nothing that xtask started stays behind.
//!
//! Every child runs in a process group of its own, listed here. The first signal asks the running tools to end; the
//! command then fails where it stands, and what it had set up is taken down on the way out. Tools that don't end
//! within [`PATIENCE`], and everything else at a second signal, are killed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long a tool may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// The exit code of a command that a signal ended, by the shells' convention for SIGINT.
pub(crate) const EXIT_CODE: u8 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static GROUPS: Mutex<BTreeMap<u32, Kind>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Asked to end at the first signal.
    Tool,
    /// A local cloud: left to whoever started it at the first signal, since he stops it in order; killed at the second.
    Cloud,
}

/// Starts to listen. To be called once, before the first child.
pub(crate) fn install() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("can't listen for signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let again = INTERRUPTED.swap(true, Ordering::SeqCst);
            if again {
                signal_all(Signal::KILL, |_| true);
                std::process::exit(i32::from(EXIT_CODE));
            }
            signal_all(Signal::TERM, |kind| kind == Kind::Tool);
            eprintln!("\nInterrupted: stopping what was started (again to kill it at once).");
            thread::spawn(|| {
                thread::sleep(PATIENCE);
                signal_all(Signal::KILL, |kind| kind == Kind::Tool);
            });
        }
    });
    Ok(())
}

pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Fails if a signal came. Loops that wait for something call it at each turn.
pub(crate) fn check() -> Result<()> {
    if is_interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps, but not on after a signal.
pub(crate) fn pause(time: Duration) -> Result<()> {
    check()?;
    thread::sleep(time);
    check()
}

/// The list of running groups. Whoever starts a child holds it meanwhile, so that a signal can't fall between the
/// start and the entry.
#[derive(Debug)]
pub(crate) struct Groups(MutexGuard<'static, BTreeMap<u32, Kind>>);

impl Groups {
    pub(crate) fn lock() -> Self {
        Self(GROUPS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&mut self, group: u32, kind: Kind) {
        self.0.insert(group, kind);
    }

    pub(crate) fn remove(&mut self, group: u32) {
        self.0.remove(&group);
    }
}

fn signal_all(signal: Signal, which: impl Fn(Kind) -> bool) {
    for (group, kind) in Groups::lock().0.iter() {
        if which(*kind) {
            signal_group(*group, signal);
        }
    }
}

/// Sends a signal to a process group; one that has ended is no error.
pub(crate) fn signal_group(group: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // ESRCH, the only error that can come of our own groups, says that nobody is left: what was wanted.
        let _ = kill_process_group(pid, signal);
    }
}

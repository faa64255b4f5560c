//! Ctrl-C, `kill` and a closed terminal stop everything that this process started.
//!
//! Every child runs in a process group of its own, which is registered here. The first signal terminates the tools.
//! The command then fails at its next [`check`], and cleans up as it returns. Tools that ignore SIGTERM for
//! 10 seconds are killed. A second signal kills all children at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long a tool may take to end after SIGTERM.
const TERM_TIMEOUT: Duration = Duration::from_secs(10);

/// The exit code of a command that a signal ended: the shells' convention for SIGINT.
pub const EXIT_CODE: u8 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static GROUPS: Mutex<BTreeMap<u32, OnSignal>> = Mutex::new(BTreeMap::new());

/// What the first signal does to a child. The second signal kills every child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSignal {
    Terminate,
    /// For a server that its owner must stop in order.
    LeaveToOwner,
}

/// Starts the thread that handles signals. Call it once, before the first child is started.
pub fn install() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("can't listen for signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let is_second = INTERRUPTED.swap(true, Ordering::SeqCst);
            if is_second {
                signal_all(Signal::KILL, |_| true);
                std::process::exit(i32::from(EXIT_CODE));
            }
            signal_all(Signal::TERM, |on_signal| on_signal == OnSignal::Terminate);
            eprintln!("\nInterrupted: stopping all child processes. Interrupt again to kill them.");
            thread::spawn(|| {
                thread::sleep(TERM_TIMEOUT);
                signal_all(Signal::KILL, |on_signal| on_signal == OnSignal::Terminate);
            });
        }
    });
    Ok(())
}

pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Fails if a signal arrived. A loop that waits for something calls it in each round.
pub fn check() -> Result<()> {
    if is_interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps, and fails if a signal arrived.
pub fn sleep(time: Duration) -> Result<()> {
    check()?;
    thread::sleep(time);
    check()
}

/// The registered process groups. The lock is held while a child is started, so that no signal falls between its start
/// and its registration.
#[derive(Debug)]
pub(crate) struct Groups(MutexGuard<'static, BTreeMap<u32, OnSignal>>);

impl Groups {
    pub(crate) fn lock() -> Self {
        Self(GROUPS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&mut self, group: u32, on_signal: OnSignal) {
        self.0.insert(group, on_signal);
    }

    pub(crate) fn remove(&mut self, group: u32) {
        self.0.remove(&group);
    }
}

fn signal_all(signal: Signal, filter: impl Fn(OnSignal) -> bool) {
    for (group, on_signal) in Groups::lock().0.iter() {
        if filter(*on_signal) {
            signal_group(*group, signal);
        }
    }
}

/// Sends a signal to a process group. A group that has ended is not an error.
pub(crate) fn signal_group(group: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // ESRCH, the only error that our own groups can cause, means that the group has ended already.
        let _ = kill_process_group(pid, signal);
    }
}

//! The signals that end the program: Ctrl-C, `kill`, and the hang-up of a closed terminal. Commands listen for them
//! where they have something to print, or a terminal to restore, before they end.

use std::fs;
use std::future::pending;
use std::io;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

pub(crate) struct ShutdownSignals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` under nohup(1): a listener would replace its setting to ignore the signal.
    hangup: Option<Signal>,
}

impl ShutdownSignals {
    pub(crate) fn listen() -> Result<Self> {
        let listen = || -> io::Result<Self> {
            let hangup = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup()));
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: hangup.transpose()?,
            })
        };
        listen().context("cannot listen for signals")
    }

    /// Waits for a signal. Returns how the program then ends.
    pub(crate) async fn next(&mut self) -> Exit {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = hangup => Exit::HungUp,
        }
    }
}

/// Whether the parent process set the hang-up signal to be ignored. Only Linux reports it.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let hangup = 1_u64 << (SignalKind::hangup().as_raw_value() - 1);
    mask.is_some_and(|mask| mask & hangup != 0)
}

//! The signals that end a program at once, where there is something to say before, or a terminal to give back.

use std::fs;
use std::future::pending;
use std::io;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

pub(crate) struct Ends {
    interrupt: Signal,
    terminate: Signal,
    /// None under nohup(1): what is listened for is no longer ignored.
    hangup: Option<Signal>,
}

impl Ends {
    pub(crate) fn listen() -> Result<Self> {
        let listen = || -> io::Result<Self> {
            let hangup = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup()));
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: hangup.transpose()?,
            })
        };
        listen().context("signals can't be listened for")
    }

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

/// Whether the program is to outlive its terminal. Linux alone tells.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let hangup = 1_u64 << (SignalKind::hangup().as_raw_value() - 1);
    mask.is_some_and(|mask| mask & hangup != 0)
}

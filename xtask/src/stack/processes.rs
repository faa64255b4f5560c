//! The processes of a stack, found by the nonce in their environment.
//!
//! A process id is not proof: after a crash or a reboot it may belong to another process. So the environment is
//! verified, and a signal goes to exactly the process that was verified.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mesh_supervisor::SupervisedChild;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, prlimit};

/// The environment variable with the nonce.
pub(super) const NONCE_VARIABLE: &str = "AI_MESH_STACK";

/// How long the local cloud may take to stop its functions and itself.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take if it saves its data first.
pub(super) const SAVE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long the functions may outlive the local cloud, which can no longer stop them.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long killed processes may take to disappear.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Stops all processes with the nonce. The leader gets SIGTERM and stops the others in order; those that remain are
/// killed. `child` is the leader's handle if it is a child of this process, which must wait for it.
pub(super) fn stop(
    leader: u32,
    nonce: &str,
    mut child: Option<&mut SupervisedChild>,
    timeout: Duration,
) -> Result<()> {
    send(leader, nonce, Signal::TERM);
    let mut deadline = Instant::now() + timeout;
    let mut killed = false;
    // During an exec a process has no environment for a moment, so only two empty results in a row mean the end.
    let mut was_empty = false;
    loop {
        if let Some(child) = &mut child
            && child.try_wait()?.is_some()
        {
            child.release();
        }
        let remaining = find(nonce);
        if remaining.is_empty() && was_empty {
            return Ok(());
        }
        was_empty = remaining.is_empty();
        if !remaining.contains(&leader) && !killed {
            deadline = deadline.min(Instant::now() + ORPHAN_TIMEOUT);
        }
        if Instant::now() >= deadline {
            if killed {
                bail!("can't kill these processes: {remaining:?}");
            }
            for pid in remaining {
                send(pid, nonce, Signal::KILL);
            }
            killed = true;
            deadline = Instant::now() + KILL_TIMEOUT;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[derive(Debug)]
pub(crate) struct StackProcess {
    pid: u32,
    nonce: String,
}

/// All processes of a stack.
pub(super) fn all(nonce: &str) -> Vec<StackProcess> {
    let process = |pid| StackProcess {
        pid,
        nonce: nonce.to_owned(),
    };
    find(nonce).into_iter().map(process).collect()
}

impl StackProcess {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// What the process runs: a Lambda function, or the models of one of the server's workers.
    pub(crate) fn role(&self) -> String {
        let read = |file| fs::read(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        let (environment, arguments) = (read("environ"), read("cmdline"));
        let mut variables = environment.split(|byte| *byte == 0);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some(function) =
            variables.find_map(|variable| variable.strip_prefix(b"AWS_LAMBDA_FUNCTION_NAME="))
        {
            return text(function);
        }
        let arguments: Vec<_> = arguments.split(|byte| *byte == 0).collect();
        match arguments[..] {
            [_, b"child", worker, ..] => format!("the process of {} models", text(worker)),
            _ => "a process that has ended".to_owned(),
        }
    }

    /// Makes every later write to a file fail, as if the disk were full.
    pub(crate) fn block_file_writes(&self) {
        let limit = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        if has_nonce(self.pid, &self.nonce)
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // The call fails if the process has ended, which writes to no file either.
            let _ = prlimit(Some(pid), Resource::Fsize, limit);
        }
    }

    /// Sends a signal if the id still belongs to this process.
    pub(crate) fn send(&self, what: Signal) {
        send(self.pid, &self.nonce, what);
    }
}

fn find(nonce: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| has_nonce(*pid, nonce)).collect()
}

/// Returns whether the process runs and has the nonce. Another user's environment can't be read, and a zombie has
/// none.
pub(super) fn has_nonce(pid: u32, nonce: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    let entry = format!("{NONCE_VARIABLE}={nonce}");
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == entry.as_bytes())
}

/// Sends a signal to a process if it has the nonce.
pub(super) fn send(pid: u32, nonce: &str, signal: Signal) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    // The handle stays with this process, even if the system gives its id to another one now.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if has_nonce(pid.as_raw_nonzero().get().unsigned_abs(), nonce) {
        // The call fails if the process has just ended, which is as good.
        let _ = pidfd_send_signal(&handle, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper(nonce: &str) -> Child {
        Command::new("sleep")
            .arg("60")
            .env(NONCE_VARIABLE, nonce)
            .spawn()
            .unwrap()
    }

    #[test]
    fn another_process_with_a_stale_pid_is_not_signalled() {
        let mut other = sleeper("another-nonce");
        assert!(!has_nonce(other.id(), "my-nonce"));
        stop(other.id(), "my-nonce", None, STOP_TIMEOUT).unwrap();
        assert!(other.try_wait().unwrap().is_none(), "the other process was ended");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn processes_with_the_nonce_are_stopped_even_without_their_leader() {
        let nonce = format!("test-{}", std::process::id());
        let mut child = sleeper(&nonce);
        while !has_nonce(child.id(), &nonce) {
            assert!(child.try_wait().unwrap().is_none(), "the process ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        // Stands in for the system's init process, which waits for orphans.
        let waiting = std::thread::spawn(move || child.wait());
        stop(u32::MAX, &nonce, None, STOP_TIMEOUT).unwrap();
        assert!(!waiting.join().unwrap().unwrap().success());
    }
}

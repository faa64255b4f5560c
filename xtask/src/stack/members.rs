//! The processes of a stack, found by the nonce in their environment.
//!
//! A process id alone proves nothing: after a crash or a restart of the machine it may be someone else's. So the
//! environment is looked at, and the signal goes to the very process that was looked at.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, prlimit};

use crate::process::Running;

/// The variable that carries the nonce.
pub(super) const VARIABLE: &str = "AI_MESH_STACK";

/// How long the local cloud may take to end its functions and itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The same where it saves first what it holds.
pub(super) const PATIENCE_TO_SAVE: Duration = Duration::from_secs(90);

/// How long its functions may outlive it: nobody is left to end them in order.
const ORPHANS: Duration = Duration::from_secs(1);

/// How long killed processes may take to vanish.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// True if that process lives and carries the nonce.
pub(super) fn leads(pid: u32, nonce: &str) -> bool {
    carries(pid, nonce)
}

/// Ends all processes with the nonce: the leader is asked first, since it ends the others in order; what is left then
/// is killed. `cloud` is the leader's handle where it is our own child, which must be waited for.
pub(super) fn end(
    leader: u32,
    nonce: &str,
    mut cloud: Option<&mut Running>,
    patience: Duration,
) -> Result<()> {
    signal(leader, nonce, Signal::TERM);
    let mut deadline = Instant::now() + patience;
    let mut killed = false;
    // A process has no environment for the moment of an exec, so only a second look tells that none is left.
    let mut none_left = false;
    loop {
        if let Some(cloud) = &mut cloud
            && cloud.poll()?.is_some()
        {
            cloud.forget();
        }
        let left = find(nonce);
        if left.is_empty() && none_left {
            return Ok(());
        }
        none_left = left.is_empty();
        if !left.contains(&leader) && !killed {
            deadline = deadline.min(Instant::now() + ORPHANS);
        }
        if Instant::now() >= deadline {
            if killed {
                bail!("these processes could not be ended: {left:?}");
            }
            for pid in left {
                signal(pid, nonce, Signal::KILL);
            }
            killed = true;
            deadline = Instant::now() + AFTER_KILL;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process of a stack.
#[derive(Debug)]
pub(crate) struct Member {
    pid: u32,
    nonce: String,
}

/// All processes of a stack.
pub(super) fn all(nonce: &str) -> Vec<Member> {
    let member = |pid| Member {
        pid,
        nonce: nonce.to_owned(),
    };
    find(nonce).into_iter().map(member).collect()
}

impl Member {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The name of its function.
    pub(crate) fn function(&self) -> String {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        let name = environment
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(b"AWS_LAMBDA_FUNCTION_NAME="));
        name.map_or_else(
            || "a process that has ended".to_owned(),
            |name| String::from_utf8_lossy(name).into_owned(),
        )
    }

    /// Lets it write to no file any more, as if all disks were full.
    pub(crate) fn refuse_files(&self) {
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        if carries(self.pid, &self.nonce)
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may have ended by now: then it writes nothing either.
            let _ = prlimit(Some(pid), Resource::Fsize, none);
        }
    }

    /// Sends it a signal, if it is still what it was.
    pub(crate) fn signal(&self, what: Signal) {
        signal(self.pid, &self.nonce, what);
    }
}

fn find(nonce: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| carries(*pid, nonce)).collect()
}

/// Another user's process can't be read and isn't ours; a dead one that nobody has waited for has no environment.
fn carries(pid: u32, nonce: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    let entry = format!("{VARIABLE}={nonce}");
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == entry.as_bytes())
}

fn signal(pid: u32, nonce: &str, signal: Signal) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    // The handle stays with this process even if its id is given to another one now.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if carries(pid.as_raw_nonzero().get().unsigned_abs(), nonce) {
        // It may end between the two lines: what was wanted.
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
            .env(VARIABLE, nonce)
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_stale_pid_of_another_process_is_left_alone() {
        let mut stranger = sleeper("another-nonce");
        assert!(!leads(stranger.id(), "my-nonce"));
        end(stranger.id(), "my-nonce", None, PATIENCE).unwrap();
        assert!(stranger.try_wait().unwrap().is_none(), "the stranger was ended");
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn processes_with_the_nonce_are_ended_even_without_their_leader() {
        let nonce = format!("test-{}", std::process::id());
        let mut child = sleeper(&nonce);
        while !leads(child.id(), &nonce) {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        // Waits like the system's init would.
        let waiting = std::thread::spawn(move || child.wait());
        end(u32::MAX, &nonce, None, PATIENCE).unwrap();
        assert!(!waiting.join().unwrap().unwrap().success());
    }
}

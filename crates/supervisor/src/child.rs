//! One child process and its supervision.

use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::signals::{self, Groups, OnSignal};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A running child with a process group of its own. The whole group is killed when this is dropped.
#[derive(Debug)]
pub struct SupervisedChild {
    name: String,
    child: Child,
    is_released: bool,
}

impl SupervisedChild {
    /// Starts a command of [`crate::guard`]. Errors call the child by its name.
    pub fn spawn(name: &str, command: &mut Command, on_signal: OnSignal) -> Result<Self> {
        let mut groups = Groups::lock();
        signals::check()?;
        let child = command.spawn().with_context(|| format!("can't start {name}"))?;
        groups.add(child.id(), on_signal);
        Ok(Self {
            name: name.to_owned(),
            child,
            is_released: false,
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The pipe to the child's input, once, if the command has one.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The pipe from the child's output, once, if the command has one.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The pipe from the child's error output, once, if the command has one.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for the end of the child, and fails if a signal arrived meanwhile.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait()?;
        if signals::is_interrupted() {
            // The child's own children may have ignored SIGTERM.
            signals::signal_group(self.id(), Signal::KILL);
        }
        self.release();
        signals::check()?;
        Ok(status)
    }

    /// Waits for the end of the child, and fails if it takes longer or a signal arrives.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} did not end within {timeout:?}", self.name);
            }
            signals::sleep(POLL_INTERVAL)?;
        }
    }

    /// The exit status if the child has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails if the child has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.try_wait()? {
            Some(status) => bail!("{} ended with {status}", self.name),
            None => Ok(()),
        }
    }

    /// Ends the supervision: the child lives on.
    pub fn release(&mut self) {
        self.is_released = true;
        Groups::lock().remove(self.id());
    }
}

impl Drop for SupervisedChild {
    fn drop(&mut self) {
        if !self.is_released {
            signals::signal_group(self.id(), Signal::KILL);
            // The child may not lead a group. Neither call fails for a child that has ended already.
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Stdio;

    use rustix::process::{Pid, kill_process};

    use super::*;

    fn supervise(program: &str, arguments: &[&str]) -> SupervisedChild {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        SupervisedChild::spawn("the child", &mut command, OnSignal::Terminate).unwrap()
    }

    fn is_alive(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie has ended, and waits for its parent to notice.
        stat.rsplit_once(") ")
            .is_some_and(|(_, fields)| !fields.starts_with('Z'))
    }

    fn wait_for_end(pid: u32) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while is_alive(pid) {
            assert!(Instant::now() < deadline, "the process {pid} still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn dropping_the_handle_ends_the_child() {
        let mut child = supervise("sleep", &["60"]);
        child.ensure_running().unwrap();
        let path = format!("/proc/{}", child.id());
        drop(child);
        assert!(!Path::new(&path).exists());
    }

    #[test]
    fn dropping_the_handle_ends_the_childs_own_children() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 60 & echo $!; wait"])
            .process_group(0)
            .stdout(Stdio::piped());
        let mut child = SupervisedChild::spawn("the child", &mut command, OnSignal::Terminate).unwrap();
        let mut line = String::new();
        BufReader::new(child.take_stdout().unwrap())
            .read_line(&mut line)
            .unwrap();
        let grandchild = line.trim().parse().unwrap();
        assert!(is_alive(grandchild));
        drop(child);
        wait_for_end(grandchild);
    }

    #[test]
    fn a_released_child_lives_on() {
        let mut child = supervise("sleep", &["60"]);
        let pid = child.id();
        child.release();
        drop(child);
        assert!(is_alive(pid));
        signals::signal_group(pid, Signal::KILL);
        wait_for_end(pid);
    }

    #[test]
    fn an_ended_child_is_reported_by_name_and_status() {
        let mut child = supervise("sh", &["-c", "exit 3"]);
        assert_eq!(
            child.wait_timeout(Duration::from_secs(60)).unwrap().code(),
            Some(3)
        );
        let error = child.ensure_running().unwrap_err().to_string();
        assert!(
            error.starts_with("the child ended with") && error.contains('3'),
            "{error}"
        );
    }

    #[test]
    fn waiting_stops_at_the_timeout() {
        let error = supervise("sleep", &["60"])
            .wait_timeout(Duration::ZERO)
            .unwrap_err()
            .to_string();
        assert!(error.contains("the child did not end within"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_reported_by_name() {
        let mut command = Command::new("/no/such/program");
        let error = SupervisedChild::spawn("the server", &mut command, OnSignal::Terminate).unwrap_err();
        assert_eq!(error.to_string(), "can't start the server");
    }

    /// Marks the process that [`signals_stop_the_children`] starts: this test program, with the one test below.
    const IS_SUPERVISOR: &str = "SUPERVISOR_TEST_PROCESS";

    /// Started by [`signals_stop_the_children`]. Prints its children's process ids, then waits for one of them.
    #[test]
    fn supervisor_process() {
        if std::env::var_os(IS_SUPERVISOR).is_none() {
            return;
        }
        signals::install().unwrap();
        let mut tool = supervise("sleep", &["60"]);
        let mut command = Command::new("sleep");
        command.arg("60").process_group(0);
        let server = SupervisedChild::spawn("the server", &mut command, OnSignal::LeaveToOwner).unwrap();
        println!("\nchildren {} {}", tool.id(), server.id());
        assert_eq!(tool.wait().unwrap_err().to_string(), "interrupted");
        assert!(is_alive(server.id()), "the server is left to its owner");
        // Only a second signal ends this.
        std::thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn signals_stop_the_children() {
        let mut supervisor = Command::new(std::env::current_exe().unwrap());
        supervisor.args(["--exact", "child::tests::supervisor_process", "--nocapture"]);
        supervisor
            .env(IS_SUPERVISOR, "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut supervisor = supervisor.spawn().unwrap();
        let lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
        let children: Vec<u32> = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("children ").map(str::to_owned))
            .map(|line| line.split(' ').map(|id| id.parse().unwrap()).collect())
            .expect("the supervisor prints its children");
        let [tool, server] = children[..] else {
            panic!("{children:?}")
        };
        let interrupt = || {
            let pid = Pid::from_raw(i32::try_from(supervisor.id()).unwrap()).unwrap();
            kill_process(pid, Signal::INT).unwrap();
        };
        interrupt();
        wait_for_end(tool);
        assert!(
            is_alive(server),
            "the first signal leaves the server to its owner"
        );
        interrupt();
        wait_for_end(server);
        assert_eq!(
            supervisor.wait().unwrap().code(),
            Some(i32::from(signals::EXIT_CODE))
        );
    }
}

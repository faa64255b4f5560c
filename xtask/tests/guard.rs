//! The guard of `mesh_supervisor`, in a program that calls it: xtask.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

#[test]
fn a_child_ends_when_its_parent_is_killed() {
    // The shell stands in for the supervisor: it prints the child's process id and waits for the child.
    let script = format!("{XTASK} __guard $$ sleep 60 & echo $!; wait");
    let mut parent = Command::new("sh");
    parent.args(["-c", &script]).stdout(Stdio::piped());
    let mut parent = parent.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let child = PathBuf::from(format!("/proc/{}", line.trim()));
    let is_sleeping = || std::fs::read(child.join("comm")).is_ok_and(|name| name == b"sleep\n");
    wait_until("the guard has become the program", is_sleeping);
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("the child has ended", || !is_sleeping() || is_zombie(&child));
}

#[test]
fn a_child_whose_parent_has_ended_already_is_not_started() {
    // Process 1 is not the parent of a test's child.
    let output = Command::new(XTASK)
        .args(["__guard", "1", "echo", "started"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(output.stdout, b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("the parent process has ended"), "{error}");
}

#[test]
fn a_detached_child_has_a_session_of_its_own() {
    let session = |command: &mut Command| {
        let output = command.output().unwrap();
        let stat = String::from_utf8(output.stdout).unwrap();
        let (pid, fields) = (
            stat.split(' ').next().unwrap().to_owned(),
            stat.rsplit_once(") ").unwrap().1,
        );
        // The state, the parent, the group and the session.
        (pid, fields.split(' ').nth(3).unwrap().to_owned())
    };
    let (pid, own) = session(Command::new(XTASK).args(["__guard", "detached", "cat", "/proc/self/stat"]));
    assert_eq!(own, pid);
    let (pid, inherited) = session(Command::new("cat").arg("/proc/self/stat"));
    assert_ne!(inherited, pid);
}

#[test]
fn a_program_that_can_not_be_started_is_named() {
    let output = Command::new(XTASK)
        .args(["__guard", "detached", "/no/such/program"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("can't start /no/such/program"), "{error}");
}

fn is_zombie(process: &std::path::Path) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, fields)| fields.starts_with('Z'))
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

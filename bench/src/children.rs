//! Processes that are started here and never outlive this one, whether it ends by itself or by a signal.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The exit code of a command that a signal ended, by the shells' convention for SIGINT.
const EXIT_CODE: i32 = 130;
const LOOK_EVERY: Duration = Duration::from_millis(50);

type Shared = Arc<Mutex<Child>>;

/// All that may still run. Whoever starts one holds the list meanwhile, so that a signal can't fall in between.
static RUNNING: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// A child that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Started {
    name: String,
    child: Shared,
}

/// Lets SIGINT, SIGTERM and SIGHUP end the children first and then this process.
pub(crate) fn end_with_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("can't listen for signals")?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let running = hold(&RUNNING);
            running.iter().for_each(end);
            std::process::exit(EXIT_CODE);
        }
    });
    Ok(())
}

impl Started {
    /// Starts a command with its output in these files.
    pub(crate) fn spawn(name: &str, command: &mut Command, output: &Path, errors: &Path) -> Result<Self> {
        let file =
            |path: &Path| File::create(path).with_context(|| format!("can't write {}", path.display()));
        command
            .stdin(Stdio::null())
            .stdout(file(output)?)
            .stderr(file(errors)?);
        let mut running = hold(&RUNNING);
        let child = command
            .spawn()
            .with_context(|| format!("{name} can't be started"))?;
        let child = Arc::new(Mutex::new(child));
        running.push(Arc::clone(&child));
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        hold(&self.child).id()
    }

    /// Fails if it has ended.
    pub(crate) fn check(&self) -> Result<()> {
        match hold(&self.child).try_wait()? {
            Some(status) => bail!("{} ended with {status}", self.name),
            None => Ok(()),
        }
    }

    /// Its end, which must come within this time.
    pub(crate) fn wait(&self, longest: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + longest;
        loop {
            if let Some(status) = hold(&self.child).try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} did not end within {longest:?}", self.name);
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        end(&self.child);
        hold(&RUNNING).retain(|other| !Arc::ptr_eq(other, &self.child));
    }
}

/// Neither call harms or fails for a child whose end was seen already.
fn end(child: &Shared) {
    let mut child = hold(child);
    let _ = child.kill();
    let _ = child.wait();
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(command: &mut Command) -> Started {
        let nowhere = Path::new("/dev/null");
        Started::spawn("it", command, nowhere, nowhere).unwrap()
    }

    #[test]
    fn a_child_ends_with_its_handle() {
        let child = started(Command::new("sleep").arg("60"));
        child.check().unwrap();
        let place = format!("/proc/{}", child.pid());
        drop(child);
        assert!(!Path::new(&place).exists());
    }

    #[test]
    fn a_child_that_ended_is_told_by_its_name() {
        let child = started(Command::new("sh").args(["-c", "exit 3"]));
        assert_eq!(child.wait(Duration::from_secs(60)).unwrap().code(), Some(3));
        let error = child.check().unwrap_err().to_string();
        assert!(
            error.starts_with("it ended with") && error.contains('3'),
            "{error}"
        );
    }

    #[test]
    fn a_child_that_takes_too_long_is_not_waited_for() {
        let child = started(Command::new("sleep").arg("60"));
        assert!(child.wait(Duration::ZERO).is_err());
    }
}

//! Locks between processes, so that concurrent commands take turns.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mesh_supervisor::signals;

use crate::progress;

/// A held lock. It is released when this is dropped or when the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Waits for the lock, and prints a line if another command holds it.
pub(crate) fn acquire(path: &Path) -> Result<Lock> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("can't open the lock {}", path.display()))?;
    let mut announced = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                if !announced {
                    progress::line(&format!(
                        "- waiting for another step or another cargo xtask, which holds the lock {}",
                        path.display()
                    ));
                    announced = true;
                }
                signals::sleep(Duration::from_millis(100))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("can't lock {}", path.display()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = acquire(&path).unwrap();
        let waiting = std::thread::spawn(move || acquire(&path).map(|_| std::time::Instant::now()));
        std::thread::sleep(Duration::from_millis(150));
        let released = std::time::Instant::now();
        drop(first);
        assert!(waiting.join().unwrap().unwrap() >= released);
    }
}

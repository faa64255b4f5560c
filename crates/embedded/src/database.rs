//! The database file: one thread writes, several read.
//!
//! Writes that wait at the same time share one transaction, and so one sync of the disk (group commit). Each has a savepoint of
//! its own: one that fails takes none of the others with it. A write is answered after its commit is on the disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mesh_backend::BackendError;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use crate::error::{failed, stopped, write_failed};

/// The most writes that share a transaction.
const MAX_GROUP: usize = 256;
/// How many reads run at the same time.
const READERS: usize = 4;
/// A read that takes longer ends with an error.
const MAX_READ: Duration = Duration::from_secs(5);
/// A read looks at the clock after this many steps of the database's virtual machine.
const STEPS_PER_CHECK: i32 = 10_000;
/// How long a connection waits for another process, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// What remains of a write after the commit: its answer.
type Answer = Box<dyn FnOnce(&Result<(), BackendError>) + Send>;
/// A write. It gets the connection, or the error of the transaction. Beside its answer it returns the error of its own change.
type Job = Box<dyn FnOnce(Result<&Connection, BackendError>) -> (Answer, Option<BackendError>) + Send>;
/// What is written first once there is space again.
type OnSpace = fn(&Connection) -> rusqlite::Result<()>;

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    /// `None` only while it is dropped.
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
    reads: Semaphore,
}

impl Database {
    /// Starts the thread that writes with this connection. The first transaction after one that did not fit on the disk begins
    /// with `on_space`.
    pub(crate) fn start(path: &Path, connection: Connection, on_space: OnSpace) -> std::io::Result<Self> {
        let (jobs, received) = mpsc::channel();
        let writer = std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || write_groups(&connection, &received, on_space))?;
        Ok(Self {
            path: path.to_owned(),
            jobs: Some(jobs),
            writer: Some(writer),
            readers: Mutex::default(),
            reads: Semaphore::new(READERS),
        })
    }

    /// Makes a change, and returns when it is on the disk.
    ///
    /// # Errors
    /// When the change failed, and then it was not made; or when the commit failed, and then it may have been.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        call: &'static str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BackendError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let changed = connection.and_then(|connection| in_savepoint(connection, call, change));
            let failure = changed.as_ref().err().map(|error| error.again(call));
            let answer: Answer = Box::new(move |committed| {
                // Nobody may wait any more: the change is made all the same.
                let _ = answer.send(match committed {
                    Ok(()) => changed,
                    Err(error) => changed.and(Err(error.again(call))),
                });
            });
            (answer, failure)
        });
        let jobs = self.jobs.as_ref().ok_or_else(|| stopped(call))?;
        jobs.send(job).map_err(|_| stopped(call))?;
        answered.await.map_err(|_| stopped(call))?
    }

    /// Reads a state that was committed.
    ///
    /// # Errors
    /// When the read failed, or took longer than five seconds.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        call: &'static str,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BackendError> {
        let _turn = self.reads.acquire().await.map_err(|_| stopped(call))?;
        let idle = self.readers().pop();
        let path = self.path.clone();
        let read = spawn_blocking(move || {
            let mut connection = idle.map_or_else(|| open_reader(&path), Ok)?;
            let begun = Instant::now();
            connection.progress_handler(STEPS_PER_CHECK, Some(move || begun.elapsed() > MAX_READ))?;
            let found = look(&connection);
            connection.progress_handler(0, None::<fn() -> bool>)?;
            Ok::<_, rusqlite::Error>((connection, found))
        });
        let (connection, found) = read
            .await
            .map_err(|_| stopped(call))?
            .map_err(|error| failed(call, &error))?;
        self.readers().push(connection);
        found.map_err(|error| failed(call, &error))
    }

    /// No code panics while it holds the list, so a poisoned lock still guards a valid one.
    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Database {
    /// Waits for the writes that were sent before.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has logged it.
            let _ = writer.join();
        }
    }
}

/// Opens the file for writing. What a commit reports as done survives a power cut: `synchronous=FULL` syncs the log at each.
pub(crate) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A deleted text is not to be found in the file.
    connection.pragma_update(None, "secure_delete", "ON")?;
    Ok(connection)
}

pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Runs the writes in groups until all senders are gone.
fn write_groups(connection: &Connection, jobs: &Receiver<Job>, on_space: OnSpace) {
    let mut was_full = false;
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(MAX_GROUP - 1));
        let (answers, committed) = commit(connection, group, on_space, &mut was_full);
        if let Err(error) = &committed {
            tracing::error!(event = "commit_failed", %error, writes = answers.len(), "a transaction failed");
        }
        for answer in answers {
            answer(&committed);
        }
    }
}

/// Runs a group in one transaction. `was_full` says whether a write before it did not fit on the disk, and is set anew.
fn commit(
    connection: &Connection,
    group: Vec<Job>,
    on_space: OnSpace,
    was_full: &mut bool,
) -> (Vec<Answer>, Result<(), BackendError>) {
    const CALL: &str = "commit";
    // No other transaction is open: only this thread has the connection.
    let begun = Transaction::new_unchecked(connection, TransactionBehavior::Immediate);
    let begun = begun.and_then(|transaction| {
        if *was_full {
            on_space(&transaction)?;
        }
        Ok(transaction)
    });
    let transaction = match begun {
        Ok(transaction) => transaction,
        Err(error) => {
            let error = write_failed(CALL, &error, connection);
            *was_full |= error.is_out_of_space();
            let answers = group.into_iter().map(|job| job(Err(error.again(CALL))).0);
            return (answers.collect(), Err(error));
        }
    };
    let mut is_full = false;
    let mut lost = None;
    let mut answers = Vec::with_capacity(group.len());
    for job in group {
        let connection = lost
            .as_ref()
            .map_or(Ok(&*transaction), |error: &BackendError| Err(error.again(CALL)));
        let (answer, failure) = job(connection);
        answers.push(answer);
        is_full |= failure.as_ref().is_some_and(BackendError::is_out_of_space);
        // After some errors, such as a full disk, SQLite has undone the whole transaction. A further write would be one by itself.
        if lost.is_none() && transaction.is_autocommit() {
            lost = failure.or_else(|| Some(stopped(CALL)));
        }
    }
    let committed = match lost {
        Some(error) => Err(error),
        None => {
            let committed = transaction.commit();
            committed.map_err(|error| write_failed(CALL, &error, connection))
        }
    };
    is_full |= committed.as_ref().is_err_and(BackendError::is_out_of_space);
    *was_full = is_full || (*was_full && committed.is_err());
    (answers, committed)
}

/// Makes a change that is undone as a whole if it fails.
fn in_savepoint<T>(
    connection: &Connection,
    call: &'static str,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, BackendError> {
    let write_failed = |error| write_failed(call, &error, connection);
    let changed = connection
        .execute_batch("SAVEPOINT change")
        .and_then(|()| change(connection))
        .map_err(write_failed);
    let end = match &changed {
        Ok(_) => "RELEASE change",
        Err(_) => "ROLLBACK TO change; RELEASE change",
    };
    // After some errors SQLite has undone the whole transaction, and the savepoint with it.
    let ended = connection.execute_batch(end).map_err(write_failed);
    let value = changed?;
    ended?;
    Ok(value)
}

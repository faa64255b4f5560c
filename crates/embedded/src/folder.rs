//! The data folder.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_backend::{BackendError, CounterStore, PayloadStore, Queues, TaskQueue, TaskStore};
use mesh_stats::Record;
use mesh_task::Lane;
use rusqlite::Connection;
use tokio::sync::Notify;

use crate::backlog::{Backlog, backlogs};
use crate::backup::require_complete;
use crate::changes::Watchers;
use crate::counters::Counters;
use crate::database::{Database, open_writer};
use crate::durable::{Disk, Files, create_folders, write_new_file};
use crate::keys::{self, FirstKey, Key};
use crate::network::require_local;
use crate::open_error::OpenError;
use crate::payloads::EmbeddedPayloads;
use crate::queue::{DeadLetters, EmbeddedQueue};
use crate::recovery::{extend_leases, recover};
use crate::schema::{SchemaError, migrate};
use crate::signature::{KEY_BYTES, Signer};
use crate::tasks::Tasks;

pub(crate) const DATABASE: &str = "mesh.db";
pub(crate) const LOCK: &str = "lock";
pub(crate) const PAYLOADS: &str = "payloads";
pub(crate) const LINK_KEY: &str = "link-key";
const DEAD_LETTER_QUEUE: &str = "dead-letters";

/// How a data folder is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address of the server, as clients reach it: links to payloads begin with it.
    pub address: String,
    /// After this many receives a message is moved to the dead-letter queue.
    pub max_receives: u32,
}

/// An open data folder. It is locked until this value is dropped.
#[derive(Debug)]
pub struct Embedded {
    pub(crate) folder: PathBuf,
    pub(crate) tasks: Arc<Tasks>,
    counters: Arc<Counters>,
    pub(crate) payloads: Arc<EmbeddedPayloads>,
    lanes: HashMap<Lane, Arc<EmbeddedQueue>>,
    dead_letters: Arc<EmbeddedQueue>,
    /// Notified when a change is to be counted.
    pub(crate) uncounted: Arc<Notify>,
    _lock: File,
}

impl Embedded {
    /// Opens a data folder, or creates it. Blocks.
    ///
    /// # Errors
    /// When another process uses it, a file in it is damaged, newer, or can't be read, a restore into it was cut off, or it is on a
    /// network file system.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, OpenError> {
        Self::open_with(folder, settings, Arc::new(Disk))
    }

    /// Like [`open`](Self::open), with another way to the file system: a test's. The database does not take it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(folder: &Path, settings: Settings, files: Arc<dyn Files>) -> Result<Self, OpenError> {
        create_folders(&*files, folder).map_err(|error| file_error(folder, error))?;
        require_local(folder)?;
        require_complete(folder)?;
        let lock = lock(folder)?;
        let file = folder.join(DATABASE);
        let mut connection = open_database(&file)?;
        let interrupted = recover(&mut connection).map_err(|error| OpenError::Unusable {
            file: file.clone(),
            reason: error.to_string(),
        })?;
        if interrupted > 0 {
            tracing::info!(
                event = "tasks_interrupted",
                tasks = interrupted,
                "tasks were running when the last process ended; they run again"
            );
        }
        let database =
            Database::start(&file, connection, extend_leases).map_err(|error| file_error(&file, error))?;
        let database = Arc::new(database);
        let uncounted = Arc::new(Notify::new());
        let key_file = folder.join(LINK_KEY);
        let key = link_key(&*files, &key_file).map_err(|error| file_error(&key_file, error))?;
        let payload_folder = folder.join(PAYLOADS);
        let payloads = EmbeddedPayloads::open(
            payload_folder.clone(),
            files,
            Arc::clone(&database),
            Signer::new(key),
            settings.address.trim_end_matches('/').to_owned(),
        );
        let payloads = payloads.map_err(|error| file_error(&payload_folder, error))?;
        let queue = |name: String, dead_letters| {
            Arc::new(EmbeddedQueue::new(name, dead_letters, Arc::clone(&database)))
        };
        let dead_letters = queue(DEAD_LETTER_QUEUE.to_owned(), None);
        let lanes = Lane::all().map(|lane| {
            let dead_letters = DeadLetters {
                queue: Arc::clone(&dead_letters),
                max_receives: settings.max_receives,
            };
            (lane, queue(lane.to_string(), Some(dead_letters)))
        });
        Ok(Self {
            folder: folder.to_owned(),
            lanes: lanes.collect(),
            tasks: Arc::new(Tasks {
                database: Arc::clone(&database),
                watchers: Arc::default(),
                uncounted: Arc::clone(&uncounted),
            }),
            counters: Arc::new(Counters {
                database,
                watchers: Watchers::default(),
            }),
            payloads: Arc::new(payloads),
            dead_letters,
            uncounted,
            _lock: lock,
        })
    }

    #[must_use]
    pub fn tasks(&self) -> Arc<dyn TaskStore> {
        Arc::<Tasks>::clone(&self.tasks)
    }

    #[must_use]
    pub fn counters(&self) -> Arc<dyn CounterStore> {
        Arc::<Counters>::clone(&self.counters)
    }

    #[must_use]
    pub fn payloads(&self) -> Arc<EmbeddedPayloads> {
        Arc::clone(&self.payloads)
    }

    /// The payloads as the API and the workers use them.
    #[must_use]
    pub fn payload_store(&self) -> Arc<dyn PayloadStore> {
        Arc::<EmbeddedPayloads>::clone(&self.payloads)
    }

    /// The queues of all lanes.
    #[must_use]
    pub fn queues(&self) -> Queues {
        let lanes = self.lanes.iter();
        let lanes =
            lanes.map(|(lane, queue)| (*lane, Arc::<EmbeddedQueue>::clone(queue) as Arc<dyn TaskQueue>));
        Queues::new(Arc::<EmbeddedQueue>::clone(&self.dead_letters), lanes)
    }

    /// The queue of a lane, for its consumer.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> Arc<EmbeddedQueue> {
        Arc::clone(self.lanes.get(&lane).unwrap_or(&self.dead_letters))
    }

    /// The queue of messages that were received too often.
    #[must_use]
    pub fn dead_letters(&self) -> Arc<EmbeddedQueue> {
        Arc::clone(&self.dead_letters)
    }

    /// The keys that were not revoked. Some of them may have expired.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn keys(&self) -> Result<Vec<Key>, BackendError> {
        keys::keys(&self.counters.database).await
    }

    /// Makes the token with this SHA-256 the first key's. A token that was the first key's before is revoked.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn store_first_key(&self, hash: [u8; 32]) -> Result<FirstKey, BackendError> {
        keys::store_first_key(&self.counters.database, hash).await
    }

    /// How much each queue contains, the dead-letter queue included.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, BackendError> {
        let lanes = Lane::all().map(|lane| lane.to_string());
        let names = lanes.chain([DEAD_LETTER_QUEUE.to_owned()]);
        backlogs(&self.counters.database, names.collect()).await
    }

    /// Waits until changes may be to be counted, and returns the oldest, up to `most`.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn uncounted(&self, most: usize) -> Result<Vec<Record>, BackendError> {
        loop {
            let records = self.counters.uncounted(most).await?;
            if !records.is_empty() {
                return Ok(records);
            }
            self.uncounted.notified().await;
        }
    }
}

/// Locks the folder until the file is closed, as it is when the process ends in any way.
pub(crate) fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOCK);
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let mut file = open.map_err(|error| file_error(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // The name of the other process only helps to find it.
            let _ = file.read_to_string(&mut process);
            return Err(OpenError::InUse {
                folder: folder.to_owned(),
                process: process.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(file_error(&path, error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|error| file_error(&path, error))?;
    Ok(file)
}

fn open_database(file: &Path) -> Result<Connection, OpenError> {
    let damaged = |damage: String| OpenError::Damaged {
        file: file.to_owned(),
        damage,
    };
    let mut connection = open_writer(file).map_err(|error| damaged(error.to_string()))?;
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| damaged(error.to_string()))?;
    if found != "ok" {
        return Err(damaged(found));
    }
    match migrate(&mut connection) {
        Ok(()) => Ok(connection),
        Err(SchemaError::Database(error)) => Err(damaged(error.to_string())),
        Err(newer @ SchemaError::Newer { .. }) => Err(OpenError::Unusable {
            file: file.to_owned(),
            reason: newer.to_string(),
        }),
    }
}

/// The key of the links to payloads, which the first start makes.
fn link_key(files: &dyn Files, path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    match fs::read(path) {
        Ok(key) => key.try_into().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("its length is not {KEY_BYTES} bytes"),
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; KEY_BYTES];
            getrandom::fill(&mut key).map_err(io::Error::other)?;
            write_new_file(files, path, &key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

fn file_error(file: &Path, error: io::Error) -> OpenError {
    OpenError::File {
        file: file.to_owned(),
        error,
    }
}

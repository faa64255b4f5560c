//! The embedded backend: a SQLite database and a folder of files, for one process on one machine.
//!
//! ```text
//! database.rs   the connections: one thread commits in groups, several read
//! schema.rs     the tables and the migrations
//! tasks.rs      the task store; item.rs has a task's row
//! queue.rs      the queues; backlog.rs says how much each contains
//! counters.rs   the counters, the change log and the outbox that both follow from
//! keys.rs       the keys with which clients sign in
//! changes.rs    who waits for a change
//! payloads.rs   inputs and results that are files; signature.rs signs their addresses
//! incoming.rs   a payload that is being received
//! references.rs which payloads a task names
//! durable.rs    how files and folders survive a power cut
//! folder.rs     the data folder: its lock, and how it is opened; recovery.rs finishes what the last process left
//! open_error.rs why a folder can't be used; network.rs refuses those of other machines
//! cleanup.rs    deletes what is no longer kept; hold.rs holds that back while a backup is made
//! backup.rs     copies the folder, and back; check.rs shows that all of it is whole
//! ```

mod backlog;
mod backup;
mod changes;
mod check;
mod cleanup;
mod counters;
mod database;
mod durable;
mod error;
mod folder;
#[cfg(test)]
mod full_disk;
mod hold;
mod incoming;
mod item;
mod keys;
mod network;
mod open_error;
mod payloads;
mod queue;
mod recovery;
mod references;
mod schema;
mod signature;
mod tasks;

pub use backlog::Backlog;
pub use backup::{INCOMPLETE, backup, backup_with, restore};
pub use check::{Damage, Report, check};
pub use cleanup::Deleted;
pub use durable::{Disk, Files, NewFile, write_new_file};
pub use folder::{Embedded, Settings};
pub use incoming::Incoming;
pub use keys::{FirstKey, Key};
pub use open_error::OpenError;
pub use payloads::{EmbeddedPayloads, UploadRefusal};
pub use queue::{EmbeddedQueue, Received};
pub use signature::Signed;

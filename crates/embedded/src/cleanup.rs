//! Deletes what is no longer kept: expired tasks, records of keys, changes and payloads, and files without a row.
//!
//! Each step is one short transaction, so that other writes go on between two of them. A payload's row is deleted before its
//! file: a payload that a row names exists. While a backup is made, nothing is deleted.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use mesh_backend::{BackendError, LOG_RETENTION};
use mesh_task::{Item, TaskId};
use rusqlite::{Connection, params};
use tokio::task::spawn_blocking;
use walkdir::WalkDir;

use crate::durable::Files;
use crate::error::{file_failed, stopped};
use crate::folder::Embedded;
use crate::hold::Deletion;
use crate::item::{append_change, parse};
use crate::payloads::{EmbeddedPayloads, UNFINISHED};

/// The most rows that are deleted in one transaction.
const STEP: usize = 200;
/// An input or a result that no task has named for so long is never named: its request or its attempt has failed.
const UNNAMED_FOR: Duration = Duration::from_hours(24);
/// A file may be without a row for this long: its row is written next.
pub(crate) const WITHOUT_ROW_FOR: Duration = Duration::from_hours(1);

/// How much was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    pub tasks: usize,
    /// Records of idempotency keys.
    pub keys: usize,
    /// Entries of change logs.
    pub changes: usize,
    pub payloads: usize,
}

impl Embedded {
    /// Deletes what has expired by `now`. An upload that no task has named is deleted `uploads_kept` after it was stored.
    ///
    /// # Errors
    /// When the database or the file system failed; what is left is deleted by the next call.
    pub async fn delete_expired(
        &self,
        now: Timestamp,
        uploads_kept: Duration,
    ) -> Result<Deleted, BackendError> {
        let mut deleted = Deleted::default();
        let at = now.as_millisecond();
        loop {
            // A payload is deleted after its tasks, so what is held back ends the call.
            let Some(_deletion) = self.begin_deletion()? else {
                return Ok(deleted);
            };
            let step = self.delete_tasks(at).await?;
            deleted.tasks += step;
            if step < STEP {
                break;
            }
        }
        let logged = (now - LOG_RETENTION).as_millisecond();
        deleted.keys = self.delete_rows(DELETE_KEYS, at).await?;
        deleted.changes = self.delete_rows(DELETE_CHANGES, logged).await?;
        let unnamed = (now - UNNAMED_FOR).as_millisecond();
        let uploads = (now - uploads_kept).as_millisecond();
        while let Some(_deletion) = self.begin_deletion()? {
            let step = self.payloads.delete_expired(at, unnamed, uploads).await?;
            deleted.payloads += step;
            if step < STEP {
                break;
            }
        }
        Ok(deleted)
    }

    /// Deletes the files of payloads that have had no row for an hour, and those that were never complete. Returns how many.
    ///
    /// # Errors
    /// When the database or the file system failed; what is left is deleted by the next call.
    pub async fn delete_stray_files(&self, now: Timestamp) -> Result<usize, BackendError> {
        let before = SystemTime::from(now - WITHOUT_ROW_FOR);
        let mut files = old_files(&self.payloads.folder, before);
        let mut deleted = 0;
        loop {
            let read = spawn_blocking(move || (files.by_ref().take(STEP).collect(), files));
            let keys: Vec<String>;
            (keys, files) = read.await.map_err(|_| stopped("stray_files"))?;
            if keys.is_empty() {
                return Ok(deleted);
            }
            let Some(_deletion) = self.begin_deletion()? else {
                return Ok(deleted);
            };
            deleted += self.payloads.delete_without_row(keys).await?;
        }
    }

    /// `None` while a backup is made.
    fn begin_deletion(&self) -> Result<Option<Deletion>, BackendError> {
        Deletion::begin(&self.folder).map_err(|error| file_failed("begin_deletion", &error))
    }

    async fn delete_tasks(&self, at: i64) -> Result<usize, BackendError> {
        let written = self.tasks.database.write("delete_tasks", move |connection| {
            let expired = expired_tasks(connection, at)?;
            let mut delete = connection.prepare_cached("DELETE FROM tasks WHERE tenant = ? AND id = ?")?;
            for (tenant, id, item) in &expired {
                delete.execute([tenant, id])?;
                // An item that can't be parsed was never counted.
                if let Ok(item) = parse::<Item>(item) {
                    let now = Timestamp::now().as_millisecond();
                    append_change(connection, tenant, now, Some(&item), None)?;
                }
            }
            Ok(expired.into_iter().map(|(_, id, _)| id).collect::<Vec<_>>())
        });
        let ids = written.await?;
        for id in ids.iter().filter_map(|id| id.parse::<TaskId>().ok()) {
            self.tasks.watchers.wake(&id);
        }
        self.uncounted.notify_one();
        Ok(ids.len())
    }

    /// Repeats a statement that deletes up to [`STEP`] rows until fewer are left.
    async fn delete_rows(&self, statement: &'static str, at: i64) -> Result<usize, BackendError> {
        let mut deleted = 0;
        while let Some(_deletion) = self.begin_deletion()? {
            let written = self.tasks.database.write("delete_rows", move |connection| {
                connection.prepare_cached(statement)?.execute(params![at, step()])
            });
            let step = written.await?;
            deleted += step;
            if step < STEP {
                break;
            }
        }
        Ok(deleted)
    }
}

const DELETE_KEYS: &str = "DELETE FROM idempotency_keys WHERE (tenant, hash) IN
    (SELECT tenant, hash FROM idempotency_keys WHERE kept_until < ? LIMIT ?)";
const DELETE_CHANGES: &str = "DELETE FROM change_log WHERE (tenant, number) IN
    (SELECT tenant, number FROM change_log WHERE logged_at <= ? ORDER BY logged_at LIMIT ?)";

impl EmbeddedPayloads {
    async fn delete_expired(&self, at: i64, unnamed: i64, uploads: i64) -> Result<usize, BackendError> {
        // Nobody gives a file a place between the deletion of its row and that of the file before it.
        let place = self.places.clone().write_owned().await;
        let written = self.database.write("delete_payloads", move |connection| {
            let keys = expired_payloads(connection, at, unnamed, uploads)?;
            let mut delete = connection.prepare_cached("DELETE FROM payloads WHERE key = ?")?;
            for key in &keys {
                delete.execute([key])?;
            }
            Ok(keys)
        });
        let keys = written.await?;
        let (folder, files) = (self.folder.clone(), Arc::clone(self.tree.files()));
        let removed = spawn_blocking(move || {
            let removed = keys.iter().try_for_each(|key| remove(&*files, &folder, key));
            drop(place);
            removed.map(|()| keys.len())
        });
        let removed = removed.await.map_err(|_| stopped("delete_payloads"))?;
        removed.map_err(|error| file_failed("delete_payloads", &error))
    }

    /// Deletes those of these files that have no row.
    async fn delete_without_row(&self, keys: Vec<String>) -> Result<usize, BackendError> {
        let place = self.places.clone().write_owned().await;
        let read = self.database.read("stray_files", move |connection| {
            let mut select = connection.prepare_cached("SELECT 1 FROM payloads WHERE key = ?")?;
            let mut stray = Vec::new();
            for key in keys {
                if !select.exists([&key])? {
                    stray.push(key);
                }
            }
            Ok(stray)
        });
        let stray = read.await?;
        let (folder, files) = (self.folder.clone(), Arc::clone(self.tree.files()));
        let removed = spawn_blocking(move || {
            let removed = stray.iter().try_for_each(|key| {
                tracing::warn!(
                    event = "stray_file_deleted",
                    key,
                    "a file without a record is deleted"
                );
                remove(&*files, &folder, key)
            });
            drop(place);
            removed.map(|()| stray.len())
        });
        let removed = removed.await.map_err(|_| stopped("stray_files"))?;
        removed.map_err(|error| file_failed("stray_files", &error))
    }
}

fn expired_tasks(connection: &Connection, at: i64) -> rusqlite::Result<Vec<(String, String, String)>> {
    let mut select = connection.prepare_cached(
        "SELECT tenant, id, item FROM tasks WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
    )?;
    let rows = select.query_map(params![at, step()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    rows.collect()
}

/// The keys of payloads whose tasks are all deleted, and of those that no task has named in time.
fn expired_payloads(
    connection: &Connection,
    at: i64,
    unnamed: i64,
    uploads: i64,
) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached(
        "SELECT key FROM payloads WHERE kept_until <= ?1
         UNION ALL
         SELECT key FROM payloads WHERE kept_until IS NULL
             AND stored_at <= CASE WHEN key GLOB tenant || '/uploads/*' THEN ?3 ELSE ?2 END
         LIMIT ?4",
    )?;
    let rows = select.query_map(params![at, unnamed, uploads, step()], |row| row.get(0))?;
    rows.collect()
}

fn step() -> i64 {
    i64::try_from(STEP).unwrap_or(i64::MAX)
}

/// The keys of files that have not changed since a time. What can't be read is skipped, and read the next time.
pub(crate) fn old_files(folder: &Path, before: SystemTime) -> impl Iterator<Item = String> + Send + use<> {
    let root = folder.to_owned();
    WalkDir::new(folder).into_iter().filter_map(move |entry| {
        let entry = entry.ok().filter(|entry| entry.file_type().is_file())?;
        let changed = entry.metadata().ok()?.modified().ok()?;
        let key = entry.path().strip_prefix(&root).ok()?.to_str()?;
        (changed <= before).then(|| key.to_owned())
    })
}

/// Removes a file, and its folder if that is then empty. After a power cut it may be there again, without a row.
fn remove(files: &dyn Files, root: &Path, key: &str) -> io::Result<()> {
    let path = root.join(key);
    match files.remove(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| *parent != root && !parent.ends_with(UNFINISHED))
    {
        // It may contain other files.
        let _ = files.remove_folder(parent);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

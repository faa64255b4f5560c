//! Copies a data folder to a backup, and back.
//!
//! The database is copied first. A payload's file is on the disk before its row and stays until its row is deleted, and deletions
//! are held back meanwhile: so the files of all rows of the copy exist. A copy that is cut off leaves a mark, so that neither a
//! server nor a restore takes it for a whole one.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::check::{Damage, Report, check, for_each_payload};
use crate::database::open_reader;
use crate::durable::{Disk, Files};
use crate::folder::{DATABASE, LINK_KEY, LOCK, PAYLOADS, lock};
use crate::hold::Hold;
use crate::network::require_local;
use crate::open_error::OpenError;

/// The mark of a copy that is not complete: a file of this name.
pub const INCOMPLETE: &str = "incomplete";
/// The file of the server's token.
const TOKEN: &str = "token";
/// How long the copy waits for the database where another process has locked it.
const PAUSE: Duration = Duration::from_millis(100);

/// Copies a data folder to an empty or a new one, whether a server uses it or not. Blocks.
///
/// The report says how much was copied, and which files were missing already.
///
/// # Errors
/// When a folder can't be used, or the database is damaged.
pub fn backup(data: &Path, target: &Path) -> Result<Report, OpenError> {
    require_whole(data)?;
    let _hold = Hold::begin(data).map_err(OpenError::at(data))?;
    begin(target)?;
    if is_inside(data, target).map_err(OpenError::at(target))? {
        let _ = fs::remove_file(target.join(INCOMPLETE)).and_then(|()| fs::remove_dir(target));
        return Err(OpenError::Inside {
            folder: target.to_owned(),
        });
    }
    let (from, to) = (data.join(DATABASE), target.join(DATABASE));
    let source = open_reader(&from).map_err(OpenError::in_database(&from))?;
    let mut copy = Connection::open(&to).map_err(OpenError::in_database(&to))?;
    copy_database(&source, &mut copy).map_err(OpenError::in_database(&from))?;
    let found: String = copy
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(OpenError::in_database(&from))?;
    if found != "ok" {
        return Err(OpenError::Damaged {
            file: from,
            damage: found,
        });
    }
    let report = copy_files(&copy, data, target, link_or_copy)?;
    drop(copy);
    end(target)?;
    Ok(report)
}

/// Copies a backup into an empty or a new data folder, and checks it. Blocks.
///
/// Where the report names damage, the folder remains marked as incomplete.
///
/// # Errors
/// When a folder can't be used.
pub fn restore(source: &Path, data: &Path) -> Result<Report, OpenError> {
    require_whole(source)?;
    if data.join(LOCK).is_file() {
        // In use, or else not empty.
        lock(data)?;
    }
    begin(data)?;
    require_local(data)?;
    let _lock = lock(data)?;
    let file = data.join(DATABASE);
    copy(&source.join(DATABASE), &file).map_err(OpenError::at(&file))?;
    let copied = open_reader(&file).map_err(OpenError::in_database(&file))?;
    copy_files(&copied, source, data, copy)?;
    drop(copied);
    let report = check(data)?;
    if report.damage.is_empty() {
        end(data)?;
    }
    Ok(report)
}

/// Fails if the folder has no database, or is a copy that was cut off.
fn require_whole(folder: &Path) -> Result<(), OpenError> {
    require_complete(folder)?;
    let folder = folder.to_owned();
    match folder.join(DATABASE).is_file() {
        true => Ok(()),
        false => Err(OpenError::NoDatabase { folder }),
    }
}

/// Fails if the folder is a copy that was cut off.
pub(crate) fn require_complete(folder: &Path) -> Result<(), OpenError> {
    let folder = folder.to_owned();
    match folder.join(INCOMPLETE).exists() {
        true => Err(OpenError::Incomplete { folder }),
        false => Ok(()),
    }
}

/// Makes an empty folder, and marks it as incomplete.
fn begin(folder: &Path) -> Result<(), OpenError> {
    let at = || OpenError::at(folder);
    // The files are read by their owner only: the token is among them.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(at())?;
    for entry in fs::read_dir(folder).map_err(at())? {
        // A new file system has this folder.
        if entry.map_err(at())?.file_name() != "lost+found" {
            return Err(OpenError::NotEmpty {
                folder: folder.to_owned(),
            });
        }
    }
    let mark = "What copies into this folder has not finished.\n";
    fs::write(folder.join(INCOMPLETE), mark).map_err(at())?;
    Disk.sync_folder(folder).map_err(at())
}

/// Removes the mark, after everything else is on the disk.
fn end(folder: &Path) -> Result<(), OpenError> {
    let at = || OpenError::at(folder);
    // The files were synced one by one; this is for their folders.
    rustix::fs::sync();
    fs::remove_file(folder.join(INCOMPLETE)).map_err(at())?;
    Disk.sync_folder(folder).map_err(at())
}

fn is_inside(outer: &Path, inner: &Path) -> io::Result<bool> {
    Ok(inner.canonicalize()?.starts_with(outer.canonicalize()?))
}

/// Copies one state of the database, into one file. Writers go on meanwhile.
fn copy_database(source: &Connection, copy: &mut Connection) -> rusqlite::Result<()> {
    Backup::new(source, copy)?.run_to_completion(i32::MAX, PAUSE, None)?;
    copy.pragma_update(None, "journal_mode", "DELETE")
}

/// Copies the files that the copied database names, and the keys.
fn copy_files(
    copied: &Connection,
    source: &Path,
    target: &Path,
    copy_payload: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<Report, OpenError> {
    let database = target.join(DATABASE);
    let (from, to) = (source.join(PAYLOADS), target.join(PAYLOADS));
    fs::create_dir_all(&to).map_err(OpenError::at(&to))?;
    let mut report = Report::default();
    let mut failed = None;
    let tasks = copied.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0));
    report.tasks = tasks.map_err(OpenError::in_database(&database))?;
    let copying = for_each_payload(copied, |row| {
        if failed.is_some() {
            return;
        }
        let (from, to) = (from.join(&row.key), to.join(&row.key));
        let made = fs::create_dir_all(to.parent().unwrap_or(&to));
        match made.and_then(|()| copy_payload(&from, &to)) {
            Ok(()) => report.payloads += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => report.damage.push(Damage::Unreadable {
                key: row.key,
                error: error.to_string(),
            }),
            Err(error) => failed = Some(OpenError::at(&to)(error)),
        }
    });
    copying.map_err(OpenError::in_database(&database))?;
    if let Some(failed) = failed {
        return Err(failed);
    }
    for name in [LINK_KEY, TOKEN] {
        let (from, to) = (source.join(name), target.join(name));
        match copy(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(OpenError::at(&to)(error)),
            _ => {}
        }
    }
    Ok(report)
}

/// No payload's file is ever changed, so a second name is as good as a copy, where both folders are on one file system.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| copy(from, to))
}

/// Copies a file with its mode, so that it survives a power cut.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

//! Copies a data folder to a backup, and back.
//!
//! The database is copied first. A payload's file is on the disk before its row and stays until its row is deleted, and deletions
//! are held back meanwhile: so the files of all rows of the copy exist. A copy that is cut off leaves a mark, so that neither a
//! server nor a restore takes it for a whole one.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
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
    backup_with(data, target, &Disk)
}

/// Like [`backup`], with another way to the file system: a test's. The database does not take it.
///
/// # Errors
/// As [`backup`].
pub fn backup_with(data: &Path, target: &Path, files: &dyn Files) -> Result<Report, OpenError> {
    require_whole(data)?;
    let _hold = Hold::begin(data).map_err(OpenError::at(data))?;
    begin(files, target)?;
    if is_inside(data, target).map_err(OpenError::at(target))? {
        let _ = files.remove(&target.join(INCOMPLETE));
        let _ = files.remove_folder(target);
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
    let report = copy_files(&copy, files, (data, target), link_or_copy)?;
    drop(copy);
    end(files, target)?;
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
    begin(&Disk, data)?;
    require_local(data)?;
    let _lock = lock(data)?;
    let file = data.join(DATABASE);
    Disk.copy(&source.join(DATABASE), &file)
        .map_err(OpenError::at(&file))?;
    let copied = open_reader(&file).map_err(OpenError::in_database(&file))?;
    copy_files(&copied, &Disk, (source, data), |files, from, to| {
        files.copy(from, to)
    })?;
    drop(copied);
    let report = check(data)?;
    if report.damage.is_empty() {
        end(&Disk, data)?;
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
fn begin(files: &dyn Files, folder: &Path) -> Result<(), OpenError> {
    let at = || OpenError::at(folder);
    if !folder.is_dir() {
        make_folders(files, folder).map_err(at())?;
        // The files are read by their owner only: the token is among them.
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(at())?;
    }
    for entry in fs::read_dir(folder).map_err(at())? {
        // A new file system has this folder.
        if entry.map_err(at())?.file_name() != "lost+found" {
            return Err(OpenError::NotEmpty {
                folder: folder.to_owned(),
            });
        }
    }
    let mark = b"What copies into this folder has not finished.\n";
    let mut file = files.create(&folder.join(INCOMPLETE)).map_err(at())?;
    file.write_all(mark).map_err(at())?;
    files.sync_folder(folder).map_err(at())
}

/// Removes the mark, after everything else is on the disk.
fn end(files: &dyn Files, folder: &Path) -> Result<(), OpenError> {
    let at = || OpenError::at(folder);
    files.sync_all(folder).map_err(at())?;
    files.remove(&folder.join(INCOMPLETE)).map_err(at())?;
    files.sync_folder(folder).map_err(at())
}

/// Creates a folder and the missing ones above it.
fn make_folders(files: &dyn Files, folder: &Path) -> io::Result<()> {
    match folder.parent() {
        Some(above) if !folder.is_dir() => {
            make_folders(files, above)?;
            files.create_folder(folder)
        }
        _ => Ok(()),
    }
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
    files: &dyn Files,
    (source, target): (&Path, &Path),
    copy_payload: impl Fn(&dyn Files, &Path, &Path) -> io::Result<()>,
) -> Result<Report, OpenError> {
    let database = target.join(DATABASE);
    let (from, to) = (source.join(PAYLOADS), target.join(PAYLOADS));
    make_folders(files, &to).map_err(OpenError::at(&to))?;
    let mut report = Report::default();
    let mut failed = None;
    let tasks = copied.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0));
    report.tasks = tasks.map_err(OpenError::in_database(&database))?;
    let copying = for_each_payload(copied, |row| {
        if failed.is_some() {
            return;
        }
        let (from, to) = (from.join(&row.key), to.join(&row.key));
        let made = make_folders(files, to.parent().unwrap_or(&to));
        match made.and_then(|()| copy_payload(files, &from, &to)) {
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
        match files.copy(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(OpenError::at(&to)(error)),
            _ => {}
        }
    }
    Ok(report)
}

/// No payload's file is ever changed, so a second name is as good as a copy, where both folders are on one file system.
fn link_or_copy(files: &dyn Files, from: &Path, to: &Path) -> io::Result<()> {
    files.link(from, to).or_else(|_| files.copy(from, to))
}

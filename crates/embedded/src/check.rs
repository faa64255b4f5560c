//! Checks a data folder, or a backup of one: what is in it is whole.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::cleanup::{WITHOUT_ROW_FOR, old_files};
use crate::database::open_reader;
use crate::folder::{DATABASE, LINK_KEY, PAYLOADS};
use crate::hold::Hold;
use crate::open_error::OpenError;
use crate::signature::KEY_BYTES;

/// How many rows are read at a time: a server that runs meanwhile is not held up.
const PAGE: usize = 1_000;
/// How much of a file is read at a time, in bytes.
const PART: usize = 65_536;

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    pub tasks: u64,
    pub payloads: u64,
    pub damage: Vec<Damage>,
    /// Files of payloads without a record. They are not damage: the server deletes them.
    pub stray: Vec<String>,
}

/// One thing that is not as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// As the database says it.
    Database(String),
    /// The key of the links to payloads.
    LinkKey,
    /// The task can't be read.
    Task { tenant: String, id: String },
    /// The task names a payload that has no record.
    NoRecord { tenant: String, id: String, key: String },
    /// The payload's file does not exist, or can't be read.
    Unreadable { key: String, error: String },
    /// The payload's file has another length or another SHA-256 than when it was stored.
    Changed { key: String },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(found) => write!(f, "{DATABASE}: {found}"),
            Self::LinkKey => write!(f, "{LINK_KEY}: its length is not {KEY_BYTES} bytes"),
            Self::Task { tenant, id } => write!(f, "{DATABASE}: task {id} of {tenant} can't be read"),
            Self::NoRecord { tenant, id, key } => {
                write!(
                    f,
                    "{DATABASE}: task {id} of {tenant} names {PAYLOADS}/{key}, which has no record"
                )
            }
            Self::Unreadable { key, error } => write!(f, "{PAYLOADS}/{key}: {error}"),
            Self::Changed { key } => write!(f, "{PAYLOADS}/{key}: its content is not what was stored"),
        }
    }
}

/// A record of a payload.
pub(crate) struct PayloadRow {
    pub(crate) key: String,
    sha256: String,
    bytes: u64,
}

/// Checks a folder, whether a server uses it or not. Blocks.
///
/// # Errors
/// When the folder has no database, or can't be read.
pub fn check(folder: &Path) -> Result<Report, OpenError> {
    let file = folder.join(DATABASE);
    if !file.is_file() {
        return Err(OpenError::NoDatabase {
            folder: folder.to_owned(),
        });
    }
    // A folder that can't be written has no server that deletes.
    let _hold = Hold::begin(folder).ok();
    let mut report = Report::default();
    if File::open(folder.join(LINK_KEY)).is_ok_and(|key| !has_length(&key, KEY_BYTES as u64)) {
        report.damage.push(Damage::LinkKey);
    }
    let connection = match open_reader(&file).and_then(|connection| {
        check_database(&connection, &mut report)?;
        Ok(connection)
    }) {
        Ok(connection) => connection,
        Err(error) => {
            report.damage.push(Damage::Database(error.to_string()));
            return Ok(report);
        }
    };
    check_payloads(&connection, folder, &mut report).map_err(OpenError::in_database(&file))?;
    Ok(report)
}

fn has_length(file: &File, bytes: u64) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.len() == bytes)
}

fn check_database(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut integrity = connection.prepare("PRAGMA integrity_check")?;
    let found = integrity.query_map([], |row| row.get::<_, String>(0))?;
    for found in found {
        let found = found?;
        if found != "ok" {
            report.damage.push(Damage::Database(found));
        }
    }
    if !report.damage.is_empty() {
        return Ok(());
    }
    report.tasks = connection.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0))?;
    let mut unreadable = connection.prepare("SELECT tenant, id FROM tasks WHERE NOT json_valid(item)")?;
    let tasks = unreadable.query_map([], |row| {
        Ok(Damage::Task {
            tenant: row.get(0)?,
            id: row.get(1)?,
        })
    })?;
    report.damage.extend(tasks.collect::<rusqlite::Result<Vec<_>>>()?);
    let mut missing = connection.prepare(
        "SELECT tenant, id, named FROM (
             SELECT tenant, id, CASE WHEN json_valid(item) THEN item ->> '$.payload.object.object.key' END AS named FROM tasks
             UNION ALL SELECT tenant, id, CASE WHEN json_valid(item) THEN item ->> '$.result_object.key' END FROM tasks
         ) WHERE named IS NOT NULL AND NOT EXISTS (SELECT 1 FROM payloads WHERE key = named)",
    )?;
    let tasks = missing.query_map([], |row| {
        Ok(Damage::NoRecord {
            tenant: row.get(0)?,
            id: row.get(1)?,
            key: row.get(2)?,
        })
    })?;
    report.damage.extend(tasks.collect::<rusqlite::Result<Vec<_>>>()?);
    Ok(())
}

fn check_payloads(connection: &Connection, folder: &Path, report: &mut Report) -> rusqlite::Result<()> {
    let folder = folder.join(PAYLOADS);
    for_each_payload(connection, |row| {
        report.payloads += 1;
        match is_whole(&folder, &row) {
            Ok(true) => {}
            Ok(false) => report.damage.push(Damage::Changed { key: row.key }),
            Err(error) => report.damage.push(Damage::Unreadable {
                key: row.key,
                error: error.to_string(),
            }),
        }
    })?;
    let mut row = connection.prepare("SELECT 1 FROM payloads WHERE key = ?")?;
    for key in old_files(&folder, SystemTime::now() - WITHOUT_ROW_FOR) {
        if row.query_row([&key], |_| Ok(())).optional()?.is_none() {
            report.stray.push(key);
        }
    }
    Ok(())
}

/// Reads all records of payloads, part by part.
pub(crate) fn for_each_payload(
    connection: &Connection,
    mut visit: impl FnMut(PayloadRow),
) -> rusqlite::Result<()> {
    let mut select =
        connection.prepare("SELECT key, sha256, bytes FROM payloads WHERE key > ? ORDER BY key LIMIT ?")?;
    let mut last = String::new();
    loop {
        let page = select.query_map(params![last, PAGE], |row| {
            Ok(PayloadRow {
                key: row.get(0)?,
                sha256: row.get(1)?,
                bytes: row.get(2)?,
            })
        })?;
        let page: Vec<_> = page.collect::<rusqlite::Result<_>>()?;
        let Some(end) = page.last() else { return Ok(()) };
        last.clone_from(&end.key);
        page.into_iter().for_each(&mut visit);
    }
}

fn is_whole(folder: &Path, row: &PayloadRow) -> io::Result<bool> {
    let file = File::open(folder.join(&row.key))?;
    if !has_length(&file, row.bytes) {
        return Ok(false);
    }
    let mut sha256 = Sha256::new();
    let mut file = BufReader::with_capacity(PART, file);
    loop {
        let part = file.fill_buf()?;
        if part.is_empty() {
            break;
        }
        sha256.update(part);
        let read = part.len();
        file.consume(read);
    }
    Ok(hex::encode(sha256.finalize()) == row.sha256)
}

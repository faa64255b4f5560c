//! Whether a store keeps its promises after a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mesh_backend::KeyRecord;
use mesh_embedded::{Embedded, INCOMPLETE, restore};
use mesh_stats::Counts;
use mesh_task::{ObjectRef, Payload, Status, Task, TaskId, Tenant};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::files::RecordedFiles;
use crate::journal::Journal;
use crate::ledger::{Backup, History, Ledger, Moment};
use crate::workload::{HOUR, lane, now};
use crate::{data, settings, temporary_folder};

/// More than anything is kept for here.
const DAY: Duration = Duration::from_hours(25);

/// The first promise that is broken, as an error.
pub(crate) type Kept = Result<(), String>;

/// What may be done to the store that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// It is used no more after this.
    End,
    /// The power is cut once more.
    SecondCut,
}

/// What happened to a store that is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    /// When its state was taken.
    pub(crate) moment: Moment,
    /// Whether what has expired may have been deleted since then.
    pub(crate) was_cleaned: bool,
}

/// Opens what a power cut has left, and compares it with what was answered before. The journal is of what is left.
pub(crate) async fn check(journal: &Arc<Journal>, ledger: &Ledger, past: Past, before: Before) -> Kept {
    let folder = data(journal.folder());
    let embedded = Embedded::open_with(&folder, settings(), RecordedFiles::new(journal));
    let embedded = embedded.map_err(|error| format!("it does not open: {error}"))?;
    check_store(embedded, &folder, ledger, past, before).await?;
    check_link_key(&folder, &ledger.link_key(), past.moment)?;
    if past.was_cleaned {
        // The first power cut left it as it is.
        return Ok(());
    }
    let backups = ledger.backups().clone();
    let has_begun = |backup: &&Backup| backup.moment.begun < past.moment.ended;
    let Some(backup) = backups.iter().rfind(has_begun) else {
        return Ok(());
    };
    let checked = check_backup(backup, journal.folder(), ledger, past.moment).await;
    checked.map_err(|broken| format!("{}: {broken}", backup.folder.display()))
}

fn check_link_key(folder: &Path, history: &History<Vec<u8>>, moment: Moment) -> Kept {
    if history.is_promised(moment) && history.newest() != Some(&read_link_key(folder)) {
        return Err("the key of the links is another".to_owned());
    }
    Ok(())
}

/// A backup that was answered is complete, and one that is complete contains a state from while it was made.
async fn check_backup(backup: &Backup, folder: &Path, ledger: &Ledger, cut: Moment) -> Kept {
    let copy = folder.join(&backup.folder);
    if copy.join(INCOMPLETE).exists() || !copy.join("mesh.db").exists() {
        return match backup.moment.ended <= cut.begun {
            true => Err("it was answered and is not complete".to_owned()),
            false => Ok(()),
        };
    }
    let folder = temporary_folder();
    let restored = folder.path().join("data");
    let report = restore(&copy, &restored).map_err(text)?;
    if let Some(damage) = report.damage.first() {
        return Err(damage.to_string());
    }
    let embedded = Embedded::open(&restored, settings()).map_err(text)?;
    let past = Past {
        moment: backup.moment,
        was_cleaned: false,
    };
    check_store(embedded, &restored, ledger, past, Before::End).await
}

async fn check_store(embedded: Embedded, folder: &Path, ledger: &Ledger, past: Past, before: Before) -> Kept {
    let tasks = check_tasks(&embedded, ledger, past).await?;
    check_messages(&embedded, ledger, past.moment).await?;
    check_keys(&embedded, ledger, past.moment).await?;
    check_payloads(&embedded, ledger, past).await?;
    check_counters(&embedded, folder, &tasks).await?;
    check_files(folder)?;
    check_cleanup(&embedded, folder, ledger, tasks).await?;
    if before == Before::End {
        delete(&embedded, DAY).await?;
        let left = files(folder);
        if !left.is_empty() {
            return Err(format!("after all has expired there is still {left:?}"));
        }
    }
    drop(embedded);
    check_files(folder)
}

async fn check_tasks(embedded: &Embedded, ledger: &Ledger, past: Past) -> Result<Vec<Task>, String> {
    let mut histories = BTreeMap::new();
    for id in ledger.task_ids() {
        histories.insert(id, ledger.task(id).lock_owned().await);
    }
    let keys = histories.iter().filter_map(|(id, history)| {
        let mut states = history.states.all();
        let tenant = states.find_map(Option::as_ref)?.tenant.clone();
        Some((tenant, *id))
    });
    let found = embedded.tasks().get_many(keys.collect()).await.map_err(text)?;
    let by_id: BTreeMap<TaskId, &Task> = found.iter().map(|task| (task.id, task)).collect();
    for (id, history) in &histories {
        let right = || history.states.right_at(past.moment);
        match by_id.get(id) {
            None if !history.states.is_promised(past.moment) || right().any(Option::is_none) => {}
            None if past.was_cleaned && history.has_expired => {}
            None => return Err(format!("task {id} is lost")),
            Some(task) if right().flatten().any(|state| is_as_left(task, state)) => {}
            Some(task) => {
                let right: Vec<_> = right().collect();
                return Err(format!("task {id} is {task:?}, and not one of {right:?}"));
            }
        }
    }
    let objects = found.iter().flat_map(|task| {
        let input = match &task.payload {
            Payload::Object { object, .. } => Some(object),
            Payload::Inline(_) => None,
        };
        input.into_iter().chain(&task.result_object)
    });
    read_all(embedded, objects).await?;
    Ok(found)
}

/// Whether a task is as a call left it. One that ran is pending again, and has lost no attempt to the power cut.
fn is_as_left(found: &Task, left: &Task) -> bool {
    if left.status != Status::Processing {
        return found == left;
    }
    found.status == Status::Pending
        && found.attempt == left.attempt - 1
        && (found.fence, found.generation) == (left.fence, left.generation)
        && (&found.payload, found.history.len()) == (&left.payload, left.history.len())
}

async fn check_messages(embedded: &Embedded, ledger: &Ledger, moment: Moment) -> Kept {
    let queue = embedded.lane(lane());
    let received = queue.receive(usize::MAX, HOUR, Duration::ZERO).await;
    let received = received.map_err(text)?;
    let received = received.into_iter().filter_map(|received| received.message);
    let received: BTreeSet<_> = received.map(|message| (message.id, message.generation)).collect();
    for id in ledger.task_ids() {
        for (generation, history) in &ledger.task(id).lock().await.messages {
            let is_there = received.contains(&(id, *generation));
            let may_be_missing = !history.is_promised(moment) && !is_there;
            if !may_be_missing && !history.right_at(moment).any(|state| *state == is_there) {
                let what = if is_there { "is back" } else { "is lost" };
                return Err(format!("the message of task {id} {what}"));
            }
        }
    }
    Ok(())
}

async fn check_keys(embedded: &Embedded, ledger: &Ledger, moment: Moment) -> Kept {
    let keys = ledger.keys();
    let promised = keys.iter().filter(|key| key.record.is_promised(moment));
    let checks = promised.map(async |key| {
        let other = KeyRecord {
            request_sha256: "another".to_owned(),
            task_id: TaskId::generate(),
        };
        let tasks = embedded.tasks();
        let kept = tasks.remember(&key.tenant, &key.key, other, now()).await;
        let kept = kept.map_err(text)?;
        if Some(&kept) == key.record.newest() {
            Ok(())
        } else {
            Err(format!("{} is lost", key.key))
        }
    });
    join_all(checks).await.into_iter().collect()
}

async fn check_payloads(embedded: &Embedded, ledger: &Ledger, past: Past) -> Kept {
    let promised: Vec<ObjectRef> = {
        let payloads = ledger.payloads();
        let promised = payloads.iter().filter(|payload| {
            payload.states.is_promised(past.moment) && !(past.was_cleaned && payload.has_expired)
        });
        let promised = promised.filter_map(|payload| {
            let right: Option<Vec<_>> = payload.states.right_at(past.moment).cloned().collect();
            right?.pop()
        });
        promised.collect()
    };
    read_all(embedded, promised.iter()).await
}

/// The next deletion deletes what has expired, and leaves no file without a row.
async fn check_cleanup(embedded: &Embedded, folder: &Path, ledger: &Ledger, mut tasks: Vec<Task>) -> Kept {
    delete(embedded, Duration::ZERO).await?;
    let mut expired = BTreeSet::new();
    for id in ledger.task_ids() {
        if ledger.task(id).lock().await.has_expired {
            expired.insert(id);
        }
    }
    let (gone, kept): (Vec<_>, _) = tasks.into_iter().partition(|task| expired.contains(&task.id));
    tasks = kept;
    let gone = gone.into_iter().map(|task| (task.tenant, task.id));
    let left = embedded.tasks().get_many(gone.collect()).await.map_err(text)?;
    if let Some(task) = left.first() {
        return Err(format!("task {} is not deleted", task.id));
    }
    check_counters(embedded, folder, &tasks).await?;
    let rows = stored_payloads(folder).map_err(text)?;
    let keys: BTreeSet<_> = rows.iter().map(|row| row.key.clone()).collect();
    let files = files(folder);
    if files != keys {
        let stray: Vec<_> = files.difference(&keys).collect();
        return Err(format!("{stray:?} remain without a row"));
    }
    let payloads = ledger.payloads();
    let expired = payloads.iter().filter(|payload| payload.has_expired);
    let expired: BTreeSet<_> = expired
        .filter_map(|payload| payload.states.all().next()?.as_ref())
        .map(|object| &object.key)
        .collect();
    // One that no task has named, because the power cut came first, is kept for a day.
    match rows.iter().find(|row| row.is_named && expired.contains(&row.key)) {
        Some(row) => Err(format!("{} remains, and its task is deleted", row.key)),
        None => Ok(()),
    }
}

/// Deletes what will have expired after some time, and all files without a row.
async fn delete(embedded: &Embedded, time: Duration) -> Kept {
    let deleted = embedded.delete_expired(now() + time, HOUR).await;
    deleted.map_err(text)?;
    let strays = embedded.delete_stray_files(now() + 2 * HOUR).await;
    strays.map(drop).map_err(text)
}

/// The keys of all files of payloads.
fn files(folder: &Path) -> BTreeSet<String> {
    let root = folder.join("payloads");
    let entries = WalkDir::new(&root).into_iter().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_file());
    let key = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    files.map(|file| key(file.path())).collect()
}

async fn read_all(embedded: &Embedded, objects: impl Iterator<Item = &ObjectRef>) -> Kept {
    let store = embedded.payload_store();
    let reads = objects.map(async |object| {
        let read = store.read(object).await.map(drop);
        read.map_err(|error| format!("{} is lost: {error}", object.key))
    });
    join_all(reads).await.into_iter().collect()
}

/// Every change is counted once, whether it was counted before the power cut or is after it.
async fn check_counters(embedded: &Embedded, folder: &Path, tasks: &[Task]) -> Kept {
    let counters = embedded.counters();
    while has_uncounted(folder).map_err(text)? {
        let records = embedded.uncounted(100).await.map_err(text)?;
        mesh_reactor::follow(&*counters, &mesh_reactor::EmfMetrics, records)
            .await
            .map_err(text)?;
    }
    let mut expected: BTreeMap<&Tenant, Counts> = BTreeMap::new();
    for task in tasks {
        let counts = expected.entry(&task.tenant).or_default();
        counts.add(task.task_type, task.status, 1);
    }
    for (tenant, counts) in expected {
        let found = counters.counters(tenant).await.map_err(text)?.counts;
        if found != counts {
            return Err(format!(
                "the counts of {tenant} are {found:?}, and not {counts:?}"
            ));
        }
    }
    Ok(())
}

fn has_uncounted(folder: &Path) -> rusqlite::Result<bool> {
    database(folder)?.query_row("SELECT EXISTS (SELECT * FROM outbox)", [], |row| row.get(0))
}

/// The database is whole, and each payload that it names is there.
fn check_files(folder: &Path) -> Kept {
    for PayloadRow { key, sha256, .. } in stored_payloads(folder).map_err(text)? {
        let content = std::fs::read(folder.join("payloads").join(&key));
        let content = content.map_err(|error| format!("{key} is lost: {error}"))?;
        if hex::encode(Sha256::digest(content)) != sha256 {
            return Err(format!("{key} is damaged"));
        }
    }
    let found: String = database(folder)
        .and_then(|database| database.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .map_err(text)?;
    if found == "ok" {
        Ok(())
    } else {
        Err(format!("the database is damaged: {found}"))
    }
}

/// A payload's row.
struct PayloadRow {
    key: String,
    sha256: String,
    /// Whether a task has named it.
    is_named: bool,
}

fn stored_payloads(folder: &Path) -> rusqlite::Result<Vec<PayloadRow>> {
    let database = database(folder)?;
    let mut select = database.prepare("SELECT key, sha256, kept_until IS NOT NULL FROM payloads")?;
    let rows = select.query_map([], |row| {
        Ok(PayloadRow {
            key: row.get(0)?,
            sha256: row.get(1)?,
            is_named: row.get(2)?,
        })
    })?;
    rows.collect()
}

pub(crate) fn read_link_key(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("link-key")).unwrap()
}

fn database(folder: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(folder.join("mesh.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

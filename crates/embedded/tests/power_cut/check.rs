//! Whether a store keeps its promises after a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mesh_backend::KeyRecord;
use mesh_embedded::Embedded;
use mesh_stats::Counts;
use mesh_task::{ObjectRef, Payload, Status, Task, TaskId, Tenant};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use crate::files::RecordedFiles;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::workload::{HOUR, lane, now};
use crate::{data, settings};

/// The first promise that is broken, as an error.
pub(crate) type Kept = Result<(), String>;

/// Opens what a power cut has left, and compares it with what was answered before. The journal is of what is left.
pub(crate) async fn check(journal: &Arc<Journal>, ledger: &Ledger, cut: usize) -> Kept {
    let folder = data(journal.folder());
    let embedded = Embedded::open_with(&folder, settings(), RecordedFiles::new(journal));
    let embedded = embedded.map_err(|error| format!("it does not open: {error}"))?;
    let tasks = check_tasks(&embedded, ledger, cut).await?;
    check_messages(&embedded, ledger, cut).await?;
    check_keys(&embedded, ledger, cut).await?;
    check_payloads(&embedded, ledger, cut).await?;
    check_counters(&embedded, &folder, &tasks).await?;
    drop(embedded);
    let link_key = ledger.link_key();
    if link_key.is_promised(cut) && link_key.newest() != Some(&read_link_key(&folder)) {
        return Err("the key of the links is another".to_owned());
    }
    check_files(&folder)
}

async fn check_tasks(embedded: &Embedded, ledger: &Ledger, cut: usize) -> Result<Vec<Task>, String> {
    let mut histories = BTreeMap::new();
    for id in ledger.task_ids() {
        histories.insert(id, ledger.task(id).lock_owned().await);
    }
    let keys = histories.iter().filter_map(|(id, history)| {
        let tenant = history.states.newest()?.tenant.clone();
        Some((tenant, *id))
    });
    let found = embedded.tasks().get_many(keys.collect()).await.map_err(text)?;
    let by_id: BTreeMap<TaskId, &Task> = found.iter().map(|task| (task.id, task)).collect();
    for (id, history) in &histories {
        let states = &history.states;
        match by_id.get(id) {
            None if states.is_promised(cut) => return Err(format!("task {id} is lost")),
            None => {}
            Some(task) if states.right_after(cut).any(|state| is_as_left(task, state)) => {}
            Some(task) => {
                let right: Vec<_> = states.right_after(cut).collect();
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

async fn check_messages(embedded: &Embedded, ledger: &Ledger, cut: usize) -> Kept {
    let queue = embedded.lane(lane());
    let received = queue.receive(usize::MAX, HOUR, Duration::ZERO).await;
    let received = received.map_err(text)?;
    let received = received.into_iter().filter_map(|received| received.message);
    let received: BTreeSet<_> = received.map(|message| (message.id, message.generation)).collect();
    for id in ledger.task_ids() {
        for (generation, history) in &ledger.task(id).lock().await.messages {
            let is_there = received.contains(&(id, *generation));
            let may_be_missing = !history.is_promised(cut) && !is_there;
            if !may_be_missing && !history.right_after(cut).any(|state| *state == is_there) {
                let what = if is_there { "is back" } else { "is lost" };
                return Err(format!("the message of task {id} {what}"));
            }
        }
    }
    Ok(())
}

async fn check_keys(embedded: &Embedded, ledger: &Ledger, cut: usize) -> Kept {
    let keys = ledger.keys();
    let promised = keys.iter().filter(|key| key.record.is_promised(cut));
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

async fn check_payloads(embedded: &Embedded, ledger: &Ledger, cut: usize) -> Kept {
    let payloads = ledger.payloads();
    let promised = payloads.iter().filter(|history| history.is_promised(cut));
    read_all(embedded, promised.filter_map(|history| history.newest())).await
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
    for (key, sha256) in stored_payloads(folder).map_err(text)? {
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

/// The keys of all payloads, with their digests.
fn stored_payloads(folder: &Path) -> rusqlite::Result<Vec<(String, String)>> {
    let database = database(folder)?;
    let mut select = database.prepare("SELECT key, sha256 FROM payloads")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
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

//! What a start finishes that the end of the process before cut off, and what a full disk held up. The lock on the folder proves that no other process runs a
//! task, so nobody has to wait until leases and visibility timeouts are over.

use std::time::Duration;

use jiff::Timestamp;
use mesh_task::{FailureKind, Outcome, RunError, Status, Task};
use rusqlite::{Connection, params};

use crate::item::{append_change, parse, read_item, write_item};

/// When the sweeper checks a task that was running.
const CHECKED_AFTER: Duration = Duration::from_secs(60);

/// How long a running task remains its worker's when there is space again.
const RENEWED_WITHIN: Duration = Duration::from_secs(30);

/// Makes the tasks pending again that were running, without spending their attempt, and their messages visible. Returns how
/// many tasks there were.
pub(crate) fn recover(connection: &mut Connection) -> rusqlite::Result<usize> {
    let transaction = connection.transaction()?;
    let now = Timestamp::now();
    let mut running = transaction.prepare("SELECT item FROM tasks WHERE status = ?")?;
    let items = running.query_map([Status::Processing.as_str()], |row| row.get::<_, String>(0))?;
    let tasks: Vec<Task> = items.map(|item| parse(&item?)).collect::<rusqlite::Result<_>>()?;
    drop(running);
    for task in &tasks {
        interrupt(&transaction, task, now)?;
    }
    transaction.execute(
        "UPDATE messages SET visible_at = ?1 WHERE visible_at > ?1 AND receipt IS NOT NULL",
        params![now.as_millisecond()],
    )?;
    transaction.commit()?;
    Ok(tasks.len())
}

/// Extends the leases of running tasks, which could not be renewed while the disk was full. Their workers live: they are parts of
/// this process. So nobody reclaims a task before its worker could renew the lease or write the attempt's end.
pub(crate) fn extend_leases(connection: &Connection) -> rusqlite::Result<()> {
    let until = (Timestamp::now() + RENEWED_WITHIN).as_millisecond();
    let extended = connection.execute(
        "UPDATE tasks SET item = json_set(item, '$.lease_until', ?1)
         WHERE due_at IS NOT NULL AND status = ?2
             AND CASE WHEN json_valid(item) THEN item ->> '$.lease_until' < ?1 END",
        params![until, Status::Processing.as_str()],
    )?;
    if extended > 0 {
        tracing::info!(
            event = "leases_extended",
            tasks = extended,
            "there is space again: running tasks keep their workers"
        );
    }
    Ok(())
}

fn interrupt(connection: &Connection, task: &Task, now: Timestamp) -> rusqlite::Result<()> {
    let (tenant, id) = (task.tenant.as_str(), task.id.to_string());
    let failure = RunError::interrupted().into_failure(FailureKind::Transient);
    let write = task.schedule_retry(
        &failure,
        Outcome::Interrupted,
        now,
        Some(now + CHECKED_AFTER),
        now,
    );
    let Some(mut item) = read_item(connection, tenant, &id)? else {
        return Ok(());
    };
    let before = item.clone();
    if write.apply(&mut item) {
        write_item(connection, tenant, &id, &item)?;
        append_change(
            connection,
            tenant,
            now.as_millisecond(),
            Some(&before),
            Some(&item),
        )?;
    }
    Ok(())
}

//! How much each queue contains, for monitoring.

use std::collections::HashMap;

use jiff::Timestamp;
use mesh_backend::{BackendError, Depth};
use rusqlite::Connection;

use crate::database::Database;

/// What a queue contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The lane, or `dead-letters`.
    pub name: String,
    pub depth: Depth,
    /// Since when the message is visible that waits longest; `None` if none is visible.
    pub visible_since: Option<Timestamp>,
}

/// The backlogs of these queues, in one read.
pub(crate) async fn backlogs(database: &Database, names: Vec<String>) -> Result<Vec<Backlog>, BackendError> {
    let read = database.read("backlog", |connection| by_queue(connection, Timestamp::now()));
    let mut known = read.await?;
    let backlogs = names.into_iter().map(|name| {
        known.remove(&name).unwrap_or(Backlog {
            name,
            depth: Depth {
                visible: 0,
                in_flight: 0,
                delayed: 0,
            },
            visible_since: None,
        })
    });
    Ok(backlogs.collect())
}

/// The queues that contain a message.
fn by_queue(connection: &Connection, now: Timestamp) -> rusqlite::Result<HashMap<String, Backlog>> {
    let mut select = connection.prepare_cached(
        "SELECT queue,
                count(*) FILTER (WHERE visible_at <= ?1),
                count(*) FILTER (WHERE visible_at > ?1 AND receipt IS NOT NULL),
                count(*) FILTER (WHERE visible_at > ?1 AND receipt IS NULL),
                min(visible_at) FILTER (WHERE visible_at <= ?1)
         FROM messages GROUP BY queue",
    )?;
    let rows = select.query_map([now.as_millisecond()], |row| {
        let name: String = row.get(0)?;
        let visible_since: Option<i64> = row.get(4)?;
        let backlog = Backlog {
            name: name.clone(),
            depth: Depth {
                visible: row.get(1)?,
                in_flight: row.get(2)?,
                delayed: row.get(3)?,
            },
            visible_since: visible_since.and_then(|at| Timestamp::from_millisecond(at).ok()),
        };
        Ok((name, backlog))
    })?;
    rows.collect()
}

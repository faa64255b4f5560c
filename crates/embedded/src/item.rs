//! A task as the database stores it.

use mesh_backend::BackendError;
use mesh_stats::Snapshot;
use mesh_task::{Field, Item, Task};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The item of a new task, which expires at this time in seconds since the epoch.
pub(crate) fn new_item(task: &Task, expires_at: i64) -> Result<Item, BackendError> {
    match serde_json::to_value(task) {
        Ok(Value::Object(mut item)) => {
            let shard = task.id.shard().to_string();
            item.insert(Field::DueShard.name().to_owned(), shard.into());
            item.insert(Field::ExpiresAt.name().to_owned(), expires_at.into());
            Ok(item)
        }
        Ok(_) => Err(unwritable("a task is an object")),
        Err(error) => Err(unwritable(&error.to_string())),
    }
}

fn unwritable(detail: &str) -> BackendError {
    BackendError::failed("create", None, detail.to_owned())
}

/// Reads a task's item.
pub(crate) fn read_item(connection: &Connection, tenant: &str, id: &str) -> rusqlite::Result<Option<Item>> {
    let mut select = connection.prepare_cached("SELECT item FROM tasks WHERE tenant = ? AND id = ?")?;
    let text: Option<String> = select.query_row([tenant, id], |row| row.get(0)).optional()?;
    text.map(|text| parse(&text)).transpose()
}

/// Writes a task's item and the columns that follow from it.
pub(crate) fn write_item(
    connection: &Connection,
    tenant: &str,
    id: &str,
    item: &Item,
) -> rusqlite::Result<()> {
    let due_at = item.get(Field::DueAt.name()).and_then(Value::as_i64);
    let is_in_flight = item.contains_key(Field::DueShard.name());
    let status = item.get(Field::Status.name()).and_then(Value::as_str);
    let mut write = connection.prepare_cached(
        "INSERT INTO tasks (tenant, id, status, due_at, expires_at, item) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (tenant, id) DO UPDATE SET status = excluded.status, due_at = excluded.due_at,
             expires_at = excluded.expires_at, item = excluded.item",
    )?;
    write.execute(params![
        tenant,
        id,
        status.unwrap_or_default(),
        due_at.filter(|_| is_in_flight),
        expires_at(item),
        to_text(item)?,
    ])?;
    Ok(())
}

/// When a task is deleted, in milliseconds since the epoch.
pub(crate) fn expires_at(item: &Item) -> i64 {
    let seconds = item.get(Field::ExpiresAt.name()).and_then(Value::as_i64);
    seconds.map_or(i64::MAX, |seconds| seconds.saturating_mul(1_000))
}

/// Adds a change of a task to the outbox.
pub(crate) fn append_change(
    connection: &Connection,
    tenant: &str,
    now: i64,
    before: Option<&Item>,
    after: Option<&Item>,
) -> rusqlite::Result<()> {
    let mut append = connection
        .prepare_cached("INSERT INTO outbox (tenant, written_at, before, after) VALUES (?, ?, ?, ?)")?;
    let snapshot = |item: Option<&Item>| item.map(|item| to_text(&snapshot_fields(item))).transpose();
    append.execute(params![tenant, now, snapshot(before)?, snapshot(after)?])?;
    Ok(())
}

/// The part of an item that is counted.
fn snapshot_fields(item: &Item) -> Item {
    let fields = Snapshot::ATTRIBUTES.into_iter();
    fields
        .filter_map(|name| Some((name.to_owned(), item.get(name)?.clone())))
        .collect()
}

/// Parses a stored JSON text.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(unreadable)
}

/// Parses an item.
pub(crate) fn parse_item<T: DeserializeOwned>(item: Item) -> rusqlite::Result<T> {
    serde_json::from_value(Value::Object(item)).map_err(unreadable)
}

pub(crate) fn to_text(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn unreadable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

//! Which payloads a task names, and how long they are kept because of it.

use mesh_task::{Field, Item};
use rusqlite::{Connection, Error, params};

use crate::item::expires_at;

/// Keeps the payloads that an item names until its task expires.
///
/// # Errors
/// When the item begins to name a payload that does not exist, such as an upload that has just expired.
pub(crate) fn keep_payloads(
    connection: &Connection,
    before: Option<&Item>,
    after: &Item,
) -> rusqlite::Result<()> {
    let until = expires_at(after);
    let is_kept = before.is_some_and(|before| expires_at(before) == until);
    for key in keys(after) {
        let is_new = !before.is_some_and(|before| keys(before).any(|known| known == key));
        if is_kept && !is_new {
            continue;
        }
        let mut keep = connection.prepare_cached(
            "UPDATE payloads SET kept_until = max(coalesce(kept_until, 0), ?) WHERE key = ?",
        )?;
        if keep.execute(params![until, key])? == 0 && is_new {
            return Err(Error::QueryReturnedNoRows);
        }
    }
    Ok(())
}

/// The keys of an item's input and result.
pub(crate) fn keys(item: &Item) -> impl Iterator<Item = &str> {
    let input = item
        .get("payload")
        .and_then(|payload| payload.pointer("/object/object/key"));
    let result = item
        .get(Field::ResultObject.name())
        .and_then(|object| object.get("key"));
    [input, result]
        .into_iter()
        .flatten()
        .filter_map(|key| key.as_str())
}

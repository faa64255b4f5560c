//! The keys with which clients sign in. Of a key's token only the hash is stored.

use jiff::Timestamp;
use mesh_backend::BackendError;
use mesh_task::Tenant;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::database::Database;

/// The name of the key whose token is a file in the data folder.
const FIRST: &str = "first";
/// It may do everything.
const FIRST_SCOPES: &str = r#"["operator"]"#;

/// A key that was neither revoked nor deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: String,
    pub tenant: Tenant,
    /// The token's SHA-256.
    pub hash: [u8; 32],
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// What became of the first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstKey {
    /// It was stored before.
    Known,
    /// It was stored now. If another one was the first before, that one is revoked.
    Stored,
    /// It was revoked, and stays so.
    Revoked,
}

/// The keys that were not revoked. Some of them may have expired.
pub(crate) async fn keys(database: &Database) -> Result<Vec<Key>, BackendError> {
    let read = database.read("keys", |connection| {
        let mut select = connection.prepare_cached(
            "SELECT id, tenant, hash, created_at, expires_at FROM keys WHERE revoked_at IS NULL ORDER BY id",
        )?;
        let keys = select.query_map([], |row| {
            let tenant = Tenant::try_from(row.get::<_, String>(1)?)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error)))?;
            let time = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
            Ok(Key {
                id: row.get(0)?,
                tenant,
                hash: row.get(2)?,
                created_at: time(row.get(3)?),
                expires_at: row.get::<_, Option<i64>>(4)?.map(time),
            })
        })?;
        keys.collect()
    });
    read.await
}

/// Makes the token with this hash the first key's, in one transaction.
pub(crate) async fn store_first_key(database: &Database, hash: [u8; 32]) -> Result<FirstKey, BackendError> {
    let written = database.write("store_first_key", move |connection| {
        let mut select = connection.prepare_cached("SELECT revoked_at FROM keys WHERE hash = ?")?;
        let known: Option<Option<i64>> = select.query_row([hash], |row| row.get(0)).optional()?;
        match known {
            Some(None) => return Ok(FirstKey::Known),
            Some(Some(_)) => return Ok(FirstKey::Revoked),
            None => {}
        }
        insert_first(connection, &hash, Timestamp::now().as_millisecond())?;
        Ok(FirstKey::Stored)
    });
    written.await
}

fn insert_first(connection: &Connection, hash: &[u8; 32], now: i64) -> rusqlite::Result<()> {
    let tenant = Tenant::first();
    connection
        .prepare_cached(
            "UPDATE keys SET revoked_at = ? WHERE tenant = ? AND name = ? AND revoked_at IS NULL",
        )?
        .execute(params![now, tenant.as_str(), FIRST])?;
    connection
        .prepare_cached(
            "INSERT INTO keys (id, tenant, name, hash, scopes, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            Uuid::now_v7().to_string(),
            tenant.as_str(),
            FIRST,
            hash,
            FIRST_SCOPES,
            now
        ])?;
    Ok(())
}

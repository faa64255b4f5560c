//! The database's tables, and the migrations that bring an older file to them.

use rusqlite::{Connection, Transaction};

/// Each step from one version to the next. A step that was released is never changed.
const MIGRATIONS: [&str; 2] = [VERSION_1, VERSION_2];

/// Times are in milliseconds since the epoch.
const VERSION_1: &str = "
CREATE TABLE tasks (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    -- When the sweeper checks the task; only while it is in flight.
    due_at INTEGER,
    -- The earliest start of a delayed task.
    not_before INTEGER,
    expires_at INTEGER NOT NULL,
    -- The task as JSON.
    item TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX tasks_by_status ON tasks (tenant, status, id);
CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_expired ON tasks (expires_at);

CREATE TABLE idempotency_keys (
    tenant TEXT NOT NULL,
    hash BLOB NOT NULL,
    request_sha256 TEXT NOT NULL,
    task_id TEXT NOT NULL,
    kept_until INTEGER NOT NULL,
    PRIMARY KEY (tenant, hash)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_expired ON idempotency_keys (kept_until);

CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    tenant TEXT NOT NULL,
    -- Messages of one group take turns with those of others, in proportion to their weights.
    message_group TEXT NOT NULL,
    weight INTEGER NOT NULL,
    body TEXT NOT NULL,
    trace TEXT,
    sent_at INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    receives INTEGER NOT NULL,
    -- The last receive; NULL before the first.
    receipt TEXT
);
CREATE INDEX messages_visible ON messages (queue, visible_at);
CREATE UNIQUE INDEX messages_received ON messages (receipt) WHERE receipt IS NOT NULL;

-- Changes of tasks that are not counted yet.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    written_at INTEGER NOT NULL,
    before TEXT,
    after TEXT
);

CREATE TABLE counters (
    tenant TEXT PRIMARY KEY,
    counters TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE change_log (
    tenant TEXT NOT NULL,
    number INTEGER NOT NULL,
    logged_at INTEGER NOT NULL,
    change TEXT NOT NULL,
    PRIMARY KEY (tenant, number)
) WITHOUT ROWID;
CREATE INDEX change_log_expired ON change_log (logged_at);

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The SHA-256 of the key's token.
    hash BLOB NOT NULL UNIQUE,
    -- What the key may do, and for which task types (NULL for all): lists as JSON.
    scopes TEXT NOT NULL,
    task_types TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) WITHOUT ROWID;
CREATE INDEX keys_by_tenant ON keys (tenant, id);

CREATE TABLE payloads (
    key TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    stored_at INTEGER NOT NULL
) WITHOUT ROWID;
";

/// Payloads are deleted with the last task that names them.
const VERSION_2: &str = "
-- When the last of the tasks is deleted that name the payload; NULL while none has named it.
ALTER TABLE payloads ADD COLUMN kept_until INTEGER;
CREATE INDEX payloads_expired ON payloads (kept_until) WHERE kept_until IS NOT NULL;
CREATE INDEX payloads_unnamed ON payloads (stored_at) WHERE kept_until IS NULL;
UPDATE payloads SET kept_until = named.kept_until FROM (
    SELECT key, max(expires_at) AS kept_until FROM (
        SELECT CASE WHEN json_valid(item) THEN item ->> '$.payload.object.object.key' END AS key, expires_at FROM tasks
        UNION ALL SELECT CASE WHEN json_valid(item) THEN item ->> '$.result_object.key' END, expires_at FROM tasks
    ) WHERE key IS NOT NULL GROUP BY key
) AS named WHERE payloads.key = named.key;
";

/// Why a file's tables can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error("it was written by a newer release (its schema has version {found}, this release knows {known})")]
    Newer { found: usize, known: usize },
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

/// Brings the file to the newest version, each step in a transaction of its own.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    let known = MIGRATIONS.len();
    let found = version(connection)?;
    if found > known {
        return Err(SchemaError::Newer { found, known });
    }
    for (step, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        set_version(&transaction, step + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn set_version(transaction: &Transaction<'_>, version: usize) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "user_version", version)
}

#[cfg(test)]
mod tests {
    use mesh_task::{Status, testing};
    use serde_json::json;

    use super::*;
    use crate::item::{new_item, read_item, to_text};
    use crate::recovery::recover;

    #[test]
    fn a_new_file_has_the_newest_version_and_a_newer_one_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), MIGRATIONS.len());
        migrate(&mut connection).unwrap();
        connection
            .pragma_update(None, "user_version", MIGRATIONS.len() + 1)
            .unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert!(matches!(error, SchemaError::Newer { .. }), "{error}");
    }

    /// The tables of an earlier version.
    fn of_version(version: usize) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..version] {
            connection.execute_batch(migration).unwrap();
        }
        let transaction = connection.transaction().unwrap();
        set_version(&transaction, version).unwrap();
        transaction.commit().unwrap();
        connection
    }

    #[test]
    fn tasks_in_flight_in_a_file_of_version_1_keep_their_payloads_and_run_again() {
        let mut connection = of_version(1);
        let mut task = testing::task();
        task.status = Status::Processing;
        task.attempt = 1;
        let mut item = new_item(&task, 2_000).unwrap();
        let object = json!({ "key": "default/named", "etag": "", "sha256": "", "bytes": 0, "content_type": "text/plain" });
        item.insert("payload".to_owned(), json!({ "object": { "object": object } }));
        let (tenant, id) = (task.tenant.to_string(), task.id.to_string());
        // As version 1 wrote it.
        connection
            .execute(
                "INSERT INTO tasks (tenant, id, status, expires_at, item) VALUES (?, ?, 'processing', 2000000, ?)",
                [&tenant, &id, &to_text(&item).unwrap()],
            )
            .unwrap();
        for key in ["default/named", "default/unnamed"] {
            connection
                .execute(
                    "INSERT INTO payloads VALUES (?, 'default', '', 0, 'text/plain', 1)",
                    [key],
                )
                .unwrap();
        }
        migrate(&mut connection).unwrap();
        let mut select = connection
            .prepare("SELECT kept_until FROM payloads ORDER BY key")
            .unwrap();
        let kept: Vec<Option<i64>> = select
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        assert_eq!(kept, [Some(2_000_000), None]);
        drop(select);
        assert_eq!(recover(&mut connection).unwrap(), 1);
        let item = read_item(&connection, &tenant, &id).unwrap().unwrap();
        assert_eq!(item["status"], "pending");
    }
}

//! The embedded home: mesh-server with its data folder.
//!
//! Triggers in the database copy each write of a task, in the transaction of the write. So no write is missing, whatever is
//! killed. While the server is down the soak has no connection to the database, so the next start finds what a kill left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use jiff::Timestamp;
use mesh_tests::Api;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::assertions::Finding;
use crate::changes::ChangeLog;
use crate::home::{Home, request};
use crate::ledger::{Entries, Ledger};
use crate::metrics::Metrics;
use crate::plan::{Plan, Planned, Profile, Scenario};

/// Longer than the back-off of an attempt, and the pause of a worker that waits for messages.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection waits for the server's.
const BUSY: Duration = Duration::from_secs(5);

const PROFILE: Profile = Profile {
    task_types: &[
        "sentiment",
        "sentiment",
        "sentiment",
        "classify",
        "classify",
        "embed",
        "embed",
        "summarize",
        "summarize",
        "translate",
        "data_extraction",
        "face_detection",
        "ocr",
        "transcribe",
    ],
    loses_leases: false,
    max_open: 40,
    fault_pause: 200..2_000,
};

const TRIGGERS: &str = "
CREATE TABLE soak_writes (number INTEGER PRIMARY KEY AUTOINCREMENT, before TEXT, after TEXT);
CREATE TRIGGER soak_insert AFTER INSERT ON tasks BEGIN
    INSERT INTO soak_writes (after) VALUES (NEW.item);
END;
CREATE TRIGGER soak_update AFTER UPDATE ON tasks BEGIN
    INSERT INTO soak_writes (before, after) VALUES (OLD.item, NEW.item);
END;
";

/// Messages that may still start a task. One of an older generation than its task's starts nothing: the worker that lost its
/// claim leaves it, and it is deleted when it becomes visible after some minutes.
const MESSAGES: &str = "
SELECT queue || ': ' || body FROM messages LEFT JOIN tasks ON tasks.tenant = body ->> 'tenant' AND tasks.id = body ->> 'id'
WHERE tasks.id IS NULL OR body ->> 'generation' >= item ->> 'generation'
";

#[derive(Debug)]
pub(crate) struct Server {
    database: PathBuf,
    /// Held while the database is open, and while the server is down.
    open: Mutex<()>,
    /// The number of the last write in the ledger.
    read: AtomicI64,
    changes: ChangeLog,
}

impl Server {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            database: data.join("mesh.db"),
            open: Mutex::new(()),
            read: AtomicI64::new(0),
            changes: ChangeLog::default(),
        }
    }

    fn with_database<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let _open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = Connection::open_with_flags(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        read(&connection)
    }

    /// The column that a query selects.
    fn texts(&self, query: &str) -> Vec<String> {
        let texts = self.with_database(|database| {
            let mut select = database.prepare(query)?;
            let rows = select.query_map([], |row| row.get(0))?;
            rows.collect()
        });
        texts.expect("the database can be read")
    }

    /// Adds the writes since the last time to the ledger.
    fn read_writes(&self, ledger: &Ledger) -> rusqlite::Result<()> {
        let writes: Vec<(i64, Option<String>, Option<String>)> = self.with_database(|database| {
            let mut select = database
                .prepare("SELECT number, before, after FROM soak_writes WHERE number > ? ORDER BY number")?;
            let rows = select.query_map([self.read.load(Ordering::Relaxed)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.collect()
        })?;
        for (number, before, after) in writes {
            let item = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
            ledger.add(number.to_string(), item(before), item(after));
            self.read.store(number, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Home for Server {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn prepare(&self) {
        let database = Connection::open(&self.database).expect("the server has made its database");
        database
            .busy_timeout(BUSY)
            .and_then(|()| database.execute_batch(TRIGGERS))
            .expect("the triggers can be made");
        self.changes.begin(&Api::new());
    }

    fn follow(&self, ledger: &Ledger, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            // While the server starts, the database may not be readable.
            let _later = self.read_writes(ledger);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Follows the change log, as a client does whose connection is cut with each kill.
    fn run_beside(&self, is_over: &AtomicBool) {
        let api = Api::new();
        while !is_over.load(Ordering::Relaxed) {
            self.changes.follow(&api, 2);
        }
    }

    /// The server sends no message twice, so nobody else does.
    fn send_duplicate(&self, _task: &Planned, _id: &str) {}

    /// Kills or pauses the server or the process of a model.
    fn random_fault(&self, rng: &mut Rng) -> String {
        match rng.u32(0..100) {
            0..15 => "crash".to_owned(),
            15..65 => format!("kill {}", rng.u32(..)),
            65..85 => format!("pause {} {}", rng.u32(..), rng.u32(100..2_000)),
            _ => format!("freeze {}", rng.u32(100..2_000)),
        }
    }

    fn inject(&self, fault: &str, ledger: &Ledger) -> Option<String> {
        if !matches!(fault, "crash" | "restart") {
            return request(fault);
        }
        let _open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Timestamp::now().as_millisecond();
        let description = request(fault)?;
        ledger.started(begun..=Timestamp::now().as_millisecond());
        Some(description)
    }

    fn items(&self) -> Vec<Value> {
        let items = self.texts("SELECT item FROM tasks").into_iter();
        items
            .map(|item| serde_json::from_str(&item).expect("a task is JSON"))
            .collect()
    }

    fn undrained(&self) -> Vec<String> {
        let api = Api::new();
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        loop {
            let mut left = self.texts(MESSAGES);
            left.extend(Metrics::read(&api).work());
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// No fault loses a change.
    fn repair_counters(&self) {}

    fn check(&self, plan: &Plan, entries: &Entries, injected: &BTreeMap<String, usize>) -> Vec<Finding> {
        let api = Api::new();
        let mut found = self.changes.compare(&api, &entries.visible);
        found.extend(Metrics::read(&api).compare(&entries.visible));
        found.extend(check_crashes(plan, entries, injected));
        match request("check").as_deref() {
            Some("whole") => {}
            damage => found.push(format!("`mesh-server check` says: {damage:?}")),
        }
        found.into_iter().map(|message| (None, message)).collect()
    }
}

/// Each attempt that a crash spent has a kill. No other process of a model dies, except for a task that was planned to kill it.
fn check_crashes(plan: &Plan, entries: &Entries, injected: &BTreeMap<String, usize>) -> Option<String> {
    let kills = injected
        .iter()
        .filter(|(fault, _)| fault.starts_with("killed the process"));
    let kills: usize = kills.map(|(_, times)| times).sum();
    let others = plan.tasks.iter().filter(|task| task.scenario != Scenario::Aborts);
    let spent: usize = others
        .filter_map(|task| Some(entries.tasks.get(&task.number)?.spent_by_crashes))
        .sum();
    println!("soak: crashes spent {spent} attempts, and {kills} processes of models were killed");
    (spent > kills)
        .then(|| format!("{spent} attempts were spent by crashes, and only {kills} processes were killed"))
}

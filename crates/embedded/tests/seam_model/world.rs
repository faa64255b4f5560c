//! The system in one process: the embedded backend, and its users with faults between.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use mesh_api::{ApiState, ModelSettings, WorkerFunction, Workers};
use mesh_backend::{
    Activity, BackendFuture, CounterStore, PayloadStore, Queues, TaskQueue, TaskStore, WorkerMetrics,
};
use mesh_embedded::{Embedded, EmbeddedQueue, Settings};
use mesh_sweeper::Sweeper;
use mesh_task::{Lane, LaneKind, OwnPolicies, RetryPolicies, RetryPolicy, SweepPolicy, WorkerKind};
use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::MAX_ATTEMPTS;
use crate::faulty::{FaultyCounters, FaultyPayloads, FaultyQueue, FaultyTasks};
use crate::process::lock;

pub(crate) const TOKEN: &str = "a-token";
/// After this many receives a message is a dead letter.
pub(crate) const MAX_RECEIVES: u32 = 3;
/// How long a claim holds.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
const DUE_AFTER: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_hours(24 * 7);
/// A file system in memory, whose syncs take no time.
const MEMORY: &str = "/dev/shm";

pub(crate) struct World {
    pub(crate) embedded: Embedded,
    pub(crate) api: Router,
    pub(crate) tasks: Arc<dyn TaskStore>,
    pub(crate) payloads: Arc<dyn PayloadStore>,
    pub(crate) counters: Arc<dyn CounterStore>,
    pub(crate) sweeper: Sweeper,
    /// Beside the backend's own connections.
    database: Mutex<Connection>,
    _folder: TempDir,
}

impl World {
    pub(crate) fn open() -> Arc<Self> {
        let memory = Path::new(MEMORY);
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.expect("a folder");
        let settings = Settings {
            address: "http://127.0.0.1:8000".to_owned(),
            max_receives: MAX_RECEIVES,
        };
        let embedded = Embedded::open(folder.path(), settings).expect("a new folder opens");
        let database = Connection::open(folder.path().join("mesh.db")).expect("the database opens");
        database.busy_timeout(Duration::from_secs(5)).expect("a timeout");
        let tasks: Arc<dyn TaskStore> = Arc::new(FaultyTasks(embedded.tasks()));
        let payloads: Arc<dyn PayloadStore> = Arc::new(FaultyPayloads(embedded.payload_store()));
        let counters: Arc<dyn CounterStore> = Arc::new(FaultyCounters(embedded.counters()));
        let sweep_policy = SweepPolicy { due_after: DUE_AFTER };
        let api = mesh_api::router(ApiState {
            tasks: Arc::clone(&tasks),
            counters: Arc::clone(&counters),
            payloads: Arc::clone(&payloads),
            queues: queues(&embedded),
            token: hex::encode(Sha256::digest(TOKEN)).parse().expect("a digest"),
            compat_tenant: None,
            origin: None,
            events: None,
            retention: RETENTION,
            policies: policies(),
            sweep_policy,
            models: ModelSettings {
                speech: String::new(),
                provider: "none".to_owned(),
                language: String::new(),
            },
            workers: Workers::new(
                Arc::new(NoMetrics),
                WorkerKind::ALL.map(|worker_kind| WorkerFunction {
                    worker_kind,
                    name: worker_kind.as_str().to_owned(),
                    limits: BTreeMap::new(),
                }),
            ),
            dashboard: None,
        });
        let sweeper = Sweeper {
            tasks: Arc::clone(&tasks),
            queues: queues(&embedded),
            policy: sweep_policy,
        };
        Arc::new(Self {
            embedded,
            api,
            tasks,
            payloads,
            counters,
            sweeper,
            database: Mutex::new(database),
            _folder: folder,
        })
    }

    /// The queue of the lane of small or large texts, for its consumer.
    pub(crate) fn queue(&self, is_large: bool) -> Arc<EmbeddedQueue> {
        let kind = if is_large {
            LaneKind::Large
        } else {
            LaneKind::Small
        };
        let lane = Lane::all().find(|lane| (lane.worker_kind, lane.kind) == (WorkerKind::Text, kind));
        self.embedded.lane(lane.expect("each worker has both lanes"))
    }

    /// Deletes what the case before has left.
    pub(crate) fn clear(&self) {
        let tables = [
            "tasks",
            "messages",
            "outbox",
            "counters",
            "change_log",
            "idempotency_keys",
            "payloads",
        ];
        let clear = tables.map(|table| format!("DELETE FROM {table}; "));
        let begun = format!("BEGIN IMMEDIATE; {} COMMIT", clear.concat());
        lock(&self.database)
            .execute_batch(&begun)
            .expect("the tables are cleared");
    }

    /// Lets time pass: moves all times that are waited for into the past. What stands still meanwhile believes that it is as
    /// late as before, as if its clock were behind.
    pub(crate) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).expect("a short time");
        self.shift(millis).expect("the times are moved");
    }

    fn shift(&self, millis: i64) -> rusqlite::Result<()> {
        let mut database = lock(&self.database);
        let transaction = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute(
            "UPDATE messages SET visible_at = visible_at - ?, sent_at = sent_at - ?1",
            [millis],
        )?;
        let mut select = transaction.prepare("SELECT rowid, item FROM tasks WHERE due_at IS NOT NULL")?;
        let items = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        for (row, item) in items.collect::<rusqlite::Result<Vec<_>>>()? {
            let mut item: Map<String, Value> = serde_json::from_str(&item).expect("an item is JSON");
            for field in ["created_at", "next_attempt_at", "lease_until", "due_at"] {
                if let Some(time) = item.get_mut(field) {
                    *time = (time.as_i64().expect("a time is a number") - millis).into();
                }
            }
            transaction.execute(
                "UPDATE tasks SET due_at = due_at - ?, item = ? WHERE rowid = ?",
                params![millis, Value::Object(item).to_string(), row],
            )?;
        }
        drop(select);
        transaction.commit()
    }

    /// How many rows a table has.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        let rows = lock(&self.database).query_row(&count, [], |row| row.get(0));
        rows.expect("the rows are counted")
    }
}

pub(crate) fn policies() -> RetryPolicies {
    RetryPolicies {
        general: RetryPolicy {
            max_attempts: MAX_ATTEMPTS,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(60),
        },
        own: OwnPolicies::default(),
    }
}

fn queues(embedded: &Embedded) -> Queues {
    let faulty = |queue: Arc<EmbeddedQueue>| Arc::new(FaultyQueue(queue)) as Arc<dyn TaskQueue>;
    let lanes = Lane::all().map(|lane| (lane, faulty(embedded.lane(lane))));
    Queues::new(faulty(embedded.dead_letters()), lanes)
}

#[derive(Debug)]
struct NoMetrics;

impl WorkerMetrics for NoMetrics {
    fn activity<'a>(
        &'a self,
        names: &'a [&'a str],
        _: i64,
        _: jiff::Timestamp,
    ) -> BackendFuture<'a, Vec<Activity>> {
        Box::pin(async { Ok(vec![Activity::default(); names.len()]) })
    }
}

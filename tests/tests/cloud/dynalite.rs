//! The tables of the AWS backend keep the contract on dynalite too, a second emulator of DynamoDB, which validates requests as
//! the service does.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{BillingMode, ScalarAttributeType, TableStatus};
use jiff::Timestamp;
use mesh_aws::{StatsTable, TaskTable, testing};
use mesh_backend::contract::{COUNTER_CASES, CountedStores, TASK_CASES};
use mesh_backend::{
    BackendError, BackendFuture, CounterStore, DueTasks, KeyRecord, ListPage, TaskStore, WriteOutcome,
};
use mesh_stats::{Record, Snapshot};
use mesh_task::{IdRange, Task, TaskFilter, TaskId, TaskSummary, Tenant, Write};
use mesh_tests::setting;
use tokio::time::{Instant, sleep};

use crate::contract::{attribute, keys, new_task_table, run};

/// The cases that need a transaction, which dynalite does not have: they run on the local cloud alone. No case needs one so far.
const NEEDS_TRANSACTIONS: [&str; 0] = [];
/// How often the status of a new table is read.
const PAUSE: Duration = Duration::from_millis(20);

/// A server of dynalite, which ends with this value.
struct Dynalite {
    process: Child,
    config: SdkConfig,
}

impl Dynalite {
    fn start() -> Self {
        let mut command = Command::new("node");
        command
            .arg(setting("AI_MESH_DYNALITE"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("Node.js is installed");
        let mut port = String::new();
        let output = process.stdout.as_mut().expect("it is piped");
        BufReader::new(output)
            .read_line(&mut port)
            .expect("dynalite prints its port");
        let config = testing::config_of(format!("http://127.0.0.1:{}", port.trim()));
        Self { process, config }
    }

    async fn task_table(&self) -> TaskTable {
        let name = new_task_table(&self.config).await;
        self.until_active(&name).await;
        TaskTable::new(&self.config, name)
    }

    /// A table with the keys of the template's.
    async fn stats_table(&self) -> StatsTable {
        let name = "stats".to_owned();
        let create = Client::new(&self.config)
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(keys("tenant", "position").into()))
            .attribute_definitions(attribute("tenant", ScalarAttributeType::S))
            .attribute_definitions(attribute("position", ScalarAttributeType::N));
        create.send().await.expect("the table is created");
        self.until_active(&name).await;
        StatsTable::new(&self.config, name)
    }

    async fn until_active(&self, name: &str) {
        loop {
            let described = Client::new(&self.config).describe_table().table_name(name);
            let table = described.send().await.expect("dynalite answers").table;
            if table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                return;
            }
            sleep(PAUSE).await;
        }
    }
}

impl Drop for Dynalite {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The task table, whose changes are counted as the reactor counts those of the table's stream: dynalite has no streams.
#[derive(Debug)]
struct Streamed {
    tasks: TaskTable,
    counters: Arc<StatsTable>,
    number: AtomicU64,
}

impl Streamed {
    async fn count(&self, before: Option<&Task>, after: &Task) -> Result<(), BackendError> {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let record = Record {
            sequence: number.to_string().try_into().expect("a number"),
            written_at: Timestamp::now(),
            old: before.map(snapshot),
            new: Some(snapshot(after)),
        };
        self.counters.count(&after.tenant, &[record]).await.map(drop)
    }
}

fn snapshot(task: &Task) -> Snapshot {
    let item = serde_json::to_value(task).expect("a task is JSON");
    serde_json::from_value(item).expect("a task has all that is counted")
}

impl TaskStore for Streamed {
    fn create<'a>(&'a self, task: &'a Task, retention: Duration) -> BackendFuture<'a, Option<Box<Task>>> {
        Box::pin(async move {
            let existing = self.tasks.create(task, retention).await?;
            if existing.is_none() {
                self.count(None, task).await?;
            }
            Ok(existing)
        })
    }

    fn write<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: TaskId,
        write: &'a Write,
    ) -> BackendFuture<'a, WriteOutcome> {
        Box::pin(async move {
            let before = self.tasks.get(tenant, id).await?;
            let outcome = self.tasks.write(tenant, id, write).await?;
            if let WriteOutcome::Applied(after) = &outcome {
                self.count(before.as_ref(), after).await?;
            }
            Ok(outcome)
        })
    }

    fn create_all<'a>(
        &'a self,
        tasks: &'a [Task],
        retention: Duration,
        until: Instant,
    ) -> BackendFuture<'a, HashSet<TaskId>> {
        self.tasks.create_all(tasks, retention, until)
    }

    fn get<'a>(&'a self, tenant: &'a Tenant, id: TaskId) -> BackendFuture<'a, Option<Task>> {
        self.tasks.get(tenant, id)
    }

    fn get_many(&self, keys: Vec<(Tenant, TaskId)>) -> BackendFuture<'_, Vec<Task>> {
        self.tasks.get_many(keys)
    }

    fn summaries<'a>(&'a self, tenant: &'a Tenant, ids: Vec<TaskId>) -> BackendFuture<'a, Vec<TaskSummary>> {
        self.tasks.summaries(tenant, ids)
    }

    fn remember<'a>(
        &'a self,
        tenant: &'a Tenant,
        idempotency_key: &'a str,
        record: KeyRecord,
        now: Timestamp,
    ) -> BackendFuture<'a, KeyRecord> {
        self.tasks.remember(tenant, idempotency_key, record, now)
    }

    fn list<'a>(
        &'a self,
        tenant: &'a Tenant,
        filter: &'a TaskFilter,
        below: Option<TaskId>,
        limit: usize,
        until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskSummary>> {
        self.tasks.list(tenant, filter, below, limit, until)
    }

    fn failed_ids<'a>(
        &'a self,
        tenant: &'a Tenant,
        range: IdRange,
        limit: usize,
        until: Instant,
    ) -> BackendFuture<'a, ListPage<TaskId>> {
        self.tasks.failed_ids(tenant, range, limit, until)
    }

    fn due(&self, by: Timestamp) -> Box<dyn DueTasks + '_> {
        self.tasks.due(by)
    }
}

#[tokio::test]
async fn the_task_table_keeps_the_contract() {
    let dynalite = Dynalite::start();
    let table = dynalite.task_table().await;
    run(TASK_CASES, &NEEDS_TRANSACTIONS, &table).await;
}

#[tokio::test]
async fn the_table_of_counters_keeps_the_contract() {
    let dynalite = Dynalite::start();
    let counters = Arc::new(dynalite.stats_table().await);
    let tasks = Streamed {
        tasks: dynalite.task_table().await,
        counters: Arc::clone(&counters),
        number: AtomicU64::default(),
    };
    let stores = CountedStores {
        tasks: Arc::new(tasks),
        counters,
    };
    run(COUNTER_CASES, &NEEDS_TRANSACTIONS, &stores).await;
}

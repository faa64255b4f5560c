//! The counter store, and how changes of tasks reach it.

use std::sync::Arc;
use std::time::Duration;

use mesh_stats::{Change, TenantCounters};
use mesh_task::{Status, Task, Tenant, cancel};
use tokio::time::{sleep, timeout};

use super::{Case, RETENTION, cases, new_task, new_tenant, now};
use crate::{CounterStore, TaskStore, WriteOutcome};

/// The stores, while a reactor counts what changes.
#[derive(Debug)]
pub struct CountedStores {
    pub tasks: Arc<dyn TaskStore>,
    pub counters: Arc<dyn CounterStore>,
}

/// The cases of a counter store.
pub const COUNTER_CASES: &[Case<CountedStores>] = cases! { CountedStores:
    a_tenant_without_tasks_has_empty_counters,
    every_change_is_counted_once_and_logged_in_order,
    the_log_is_read_in_parts_that_follow_each_other,
    a_number_that_never_was_has_no_changes,
};

/// How long a change may take to be counted.
const COUNTED_WITHIN: Duration = Duration::from_secs(30);
/// How often the counters are read meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

async fn create(stores: &CountedStores, tenant: &Tenant) -> Task {
    let task = new_task(tenant);
    stores
        .tasks
        .create(&task, RETENTION)
        .await
        .expect("the task is written");
    task
}

async fn cancel_task(stores: &CountedStores, task: &Task) {
    let written = stores.tasks.write(&task.tenant, task.id, &cancel(now())).await;
    assert!(matches!(written, Ok(WriteOutcome::Applied(_))), "{written:?}");
}

/// The counters once they contain this many changes.
async fn counted(stores: &CountedStores, tenant: &Tenant, changes: u64) -> TenantCounters {
    let reading = async {
        loop {
            let counters = stores.counters.counters(tenant).await.expect("the store answers");
            if counters.last >= changes {
                return counters;
            }
            sleep(PAUSE).await;
        }
    };
    timeout(COUNTED_WITHIN, reading)
        .await
        .expect("the changes are counted")
}

async fn log(
    stores: &CountedStores,
    tenant: &Tenant,
    counters: &TenantCounters,
    after: u64,
    limit: usize,
) -> Option<Vec<(u64, Change)>> {
    stores
        .counters
        .changes(tenant, counters, after, limit)
        .await
        .expect("the store answers")
}

async fn a_tenant_without_tasks_has_empty_counters(stores: &CountedStores) {
    let tenant = new_tenant();
    let counters = stores
        .counters
        .counters(&tenant)
        .await
        .expect("the store answers");
    assert_eq!(counters, TenantCounters::default());
    assert_eq!(log(stores, &tenant, &counters, 0, 10).await, Some(Vec::new()));
}

async fn every_change_is_counted_once_and_logged_in_order(stores: &CountedStores) {
    let tenant = new_tenant();
    let [first, second] = [create(stores, &tenant).await, create(stores, &tenant).await];
    cancel_task(stores, &first).await;
    let counters = counted(stores, &tenant, 3).await;
    assert_eq!(counters.last, 3);
    let count = |status| counters.counts.get(first.task_type, status);
    assert_eq!((count(Status::Pending), count(Status::Cancelled)), (1, 1));
    let changes = log(stores, &tenant, &counters, 0, 100)
        .await
        .expect("nothing is deleted yet");
    assert_eq!(
        changes.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let of_task = |task: &Task| {
        let own = changes.iter().filter(|(_, change)| change.id == task.id);
        own.map(|(_, change)| change.status).collect::<Vec<_>>()
    };
    assert_eq!(of_task(&first), [Some(Status::Pending), Some(Status::Cancelled)]);
    assert_eq!(of_task(&second), [Some(Status::Pending)]);
}

async fn the_log_is_read_in_parts_that_follow_each_other(stores: &CountedStores) {
    let tenant = new_tenant();
    for _ in 0..5 {
        create(stores, &tenant).await;
    }
    let counters = counted(stores, &tenant, 5).await;
    let mut numbers = Vec::new();
    while numbers.len() < 5 {
        let after = numbers.last().copied().unwrap_or(0);
        let part = log(stores, &tenant, &counters, after, 2)
            .await
            .expect("nothing is deleted yet");
        assert!(!part.is_empty());
        numbers.extend(part.into_iter().map(|(number, _)| number));
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(log(stores, &tenant, &counters, 5, 2).await, Some(Vec::new()));
}

async fn a_number_that_never_was_has_no_changes(stores: &CountedStores) {
    let tenant = new_tenant();
    create(stores, &tenant).await;
    let counters = counted(stores, &tenant, 1).await;
    assert_eq!(log(stores, &tenant, &counters, 2, 10).await, None);
}

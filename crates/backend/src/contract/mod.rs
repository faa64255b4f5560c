//! The contract suite: what every backend must do. A backend's tests run all cases of it.
//!
//! A case makes a tenant of its own, so that cases may share a store, and one that is in use.

mod counters;
mod keys;
mod payloads;
mod queue;
mod tasks;

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use mesh_task::{Task, TaskDraft, TaskId, TaskType, Tenant, testing};

pub use counters::{COUNTER_CASES, CountedStores};
pub use payloads::PAYLOAD_CASES;
pub use queue::{Consumer, QUEUE_CASES, QueueUnderTest, ReceivedMessage};
pub use tasks::TASK_CASES;

/// How long the tasks of the cases are retained.
const RETENTION: Duration = Duration::from_hours(24);

/// One case. It panics where the backend breaks the contract.
pub struct Case<S: ?Sized> {
    /// What the backend must do.
    pub name: &'static str,
    pub run: for<'a> fn(&'a S) -> BoxFuture<'a, ()>,
}

impl<S: ?Sized> fmt::Debug for Case<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The cases of these names, for a store of this type.
macro_rules! cases {
    ($store:ty: $($name:ident,)+) => {
        &[$($crate::contract::Case::<$store> {
            name: stringify!($name),
            run: |store| Box::pin($name(store)),
        }),+]
    };
}
use cases;

fn new_tenant() -> Tenant {
    let name = format!("contract-{}", TaskId::generate());
    Tenant::try_from(name).expect("a tenant's name")
}

/// A task that was accepted now and is due in a minute.
fn new_task(tenant: &Tenant) -> Task {
    task_of(tenant, TaskType::Sentiment)
}

fn task_of(tenant: &Tenant, task_type: TaskType) -> Task {
    let now = now();
    let draft = TaskDraft {
        tenant: tenant.clone(),
        ..testing::draft(task_type)
    };
    Task::new(draft, now, now + Duration::from_secs(60))
}

/// The time in the precision that is stored.
fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).expect("the time is in range")
}

//! What the clients of a store did, and what it answered them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use mesh_backend::KeyRecord;
use mesh_task::{ObjectRef, Task, TaskId, Tenant};

use crate::journal::Journal;

/// The states of one thing, in order. The first call creates it.
#[derive(Debug)]
pub(crate) struct History<T>(Vec<Step<T>>);

/// A state, and the call that led to it. Times are positions in the journal.
#[derive(Debug)]
struct Step<T> {
    begun: usize,
    answered: usize,
    state: T,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> History<T> {
    /// Adds the state that a call led to.
    pub(crate) fn push(&mut self, begun: usize, answered: usize, state: T) {
        self.0.push(Step {
            begun,
            answered,
            state,
        });
    }

    pub(crate) fn newest(&self) -> Option<&T> {
        self.0.last().map(|step| &step.state)
    }

    /// The states that are right after a power cut: that of the last call that was answered, and those of later calls that had
    /// begun.
    pub(crate) fn right_after(&self, cut: usize) -> impl Iterator<Item = &T> {
        let answered = self.0.iter().rposition(|step| step.answered <= cut).unwrap_or(0);
        let steps = self.0[answered..].iter();
        steps.filter(move |step| step.begun < cut).map(|step| &step.state)
    }

    /// Whether the thing must exist after a power cut.
    pub(crate) fn is_promised(&self, cut: usize) -> bool {
        self.0.first().is_some_and(|step| step.answered <= cut)
    }
}

/// A task, and whether the message of each of its generations is in the queue.
#[derive(Debug, Default)]
pub(crate) struct TaskHistory {
    pub(crate) states: History<Task>,
    pub(crate) messages: BTreeMap<u32, History<bool>>,
}

/// A record of an idempotency key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) tenant: Tenant,
    pub(crate) key: String,
    pub(crate) record: History<KeyRecord>,
}

/// All that was done.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) journal: Arc<Journal>,
    /// Only one client at a time works on a task, so that its states have an order.
    tasks: Mutex<BTreeMap<TaskId, Arc<tokio::sync::Mutex<TaskHistory>>>>,
    keys: Mutex<Vec<Arc<Key>>>,
    payloads: Mutex<Vec<Arc<History<ObjectRef>>>>,
    /// The key that signs links, once the store was open.
    link_key: Mutex<History<Vec<u8>>>,
}

impl Ledger {
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        Self {
            journal,
            tasks: Mutex::default(),
            keys: Mutex::default(),
            payloads: Mutex::default(),
            link_key: Mutex::default(),
        }
    }

    /// The history of a task, which may be a new one.
    pub(crate) fn task(&self, id: TaskId) -> Arc<tokio::sync::Mutex<TaskHistory>> {
        Arc::clone(self.tasks.lock().unwrap().entry(id).or_default())
    }

    pub(crate) fn task_ids(&self) -> Vec<TaskId> {
        self.tasks.lock().unwrap().keys().copied().collect()
    }

    pub(crate) fn keys(&self) -> Vec<Arc<Key>> {
        self.keys.lock().unwrap().clone()
    }

    pub(crate) fn add_key(&self, key: Key) {
        self.keys.lock().unwrap().push(Arc::new(key));
    }

    pub(crate) fn payloads(&self) -> Vec<Arc<History<ObjectRef>>> {
        self.payloads.lock().unwrap().clone()
    }

    pub(crate) fn add_payload(&self, payload: History<ObjectRef>) {
        self.payloads.lock().unwrap().push(Arc::new(payload));
    }

    pub(crate) fn link_key(&self) -> MutexGuard<'_, History<Vec<u8>>> {
        self.link_key.lock().unwrap()
    }
}

//! What the clients of a store did, and what it answered them.

use std::collections::BTreeMap;
use std::path::PathBuf;
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

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|step| &step.state)
    }

    pub(crate) fn newest(&self) -> Option<&T> {
        self.0.last().map(|step| &step.state)
    }

    /// The states that are right at a moment: that of the last call that was answered, and those of later calls that had begun.
    pub(crate) fn right_at(&self, moment: Moment) -> impl Iterator<Item = &T> {
        let is_answered = |step: &Step<T>| step.answered <= moment.begun;
        let answered = self.0.iter().rposition(is_answered).unwrap_or(0);
        let steps = self.0[answered..].iter();
        let has_begun = move |step: &&Step<T>| step.begun < moment.ended;
        steps.filter(has_begun).map(|step| &step.state)
    }

    /// Whether the thing must exist at a moment, unless it was deleted.
    pub(crate) fn is_promised(&self, moment: Moment) -> bool {
        self.0.first().is_some_and(|step| step.answered <= moment.begun)
    }
}

/// When the state that a store shows was taken. Times are positions in the journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) begun: usize,
    pub(crate) ended: usize,
}

impl From<usize> for Moment {
    /// The moment of a power cut.
    fn from(cut: usize) -> Self {
        Self {
            begun: cut,
            ended: cut,
        }
    }
}

/// A task, and whether the message of each of its generations is in the queue.
#[derive(Debug, Default)]
pub(crate) struct TaskHistory {
    /// `None` once it was deleted.
    pub(crate) states: History<Option<Task>>,
    /// Whether it had expired when it was created.
    pub(crate) has_expired: bool,
    pub(crate) messages: BTreeMap<u32, History<bool>>,
}

impl TaskHistory {
    pub(crate) fn newest(&self) -> Option<&Task> {
        self.states.newest()?.as_ref()
    }
}

/// A payload.
#[derive(Debug)]
pub(crate) struct StoredPayload {
    /// `None` once it was deleted.
    pub(crate) states: History<Option<ObjectRef>>,
    /// Whether all tasks that name it had expired when they were created.
    pub(crate) has_expired: bool,
}

/// A backup that was made, and from when to when.
#[derive(Debug, Clone)]
pub(crate) struct Backup {
    /// Relative to the journal's folder.
    pub(crate) folder: PathBuf,
    pub(crate) moment: Moment,
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
    payloads: Mutex<Vec<StoredPayload>>,
    backups: Mutex<Vec<Backup>>,
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
            backups: Mutex::default(),
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

    pub(crate) fn payloads(&self) -> MutexGuard<'_, Vec<StoredPayload>> {
        self.payloads.lock().unwrap()
    }

    pub(crate) fn backups(&self) -> MutexGuard<'_, Vec<Backup>> {
        self.backups.lock().unwrap()
    }

    pub(crate) fn link_key(&self) -> MutexGuard<'_, History<Vec<u8>>> {
        self.link_key.lock().unwrap()
    }
}

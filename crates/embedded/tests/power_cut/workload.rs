//! Clients and workers that use a store at the same time.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::{join, join_all};
use jiff::Timestamp;
use mesh_backend::{KeyRecord, WriteOutcome};
use mesh_embedded::{Embedded, Received};
use mesh_task::{
    FailureKind, Finished, Isolation, Lane, ObjectRef, Outcome, Payload, RunError, StoredResult, Task,
    TaskDraft, TaskId, TaskType, Tenant, UploadId, Write, cancel, claim, testing,
};
use serde_json::Map;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::files::RecordedFiles;
use crate::ledger::{History, Key, Ledger, StoredPayload, TaskHistory};

mod cleaner;

pub(crate) const HOUR: Duration = Duration::from_hours(1);
const CLIENTS: u64 = 4;

/// Lets all clients do so many rounds, while changes are counted, expired tasks are deleted and a backup is made.
pub(crate) async fn run(
    embedded: &Embedded,
    ledger: &Ledger,
    files: &Arc<RecordedFiles>,
    rounds: usize,
    seed: u64,
) {
    let client = |number| Client {
        embedded,
        ledger,
        tenant: Tenant::try_from(format!("tenant-{}", number % 3)).unwrap(),
        rng: Rng::with_seed(seed * (CLIENTS + 1) + number),
    };
    let clients = (0..CLIENTS).map(async |number| {
        let mut client = client(number);
        for _ in 0..rounds {
            client.round().await;
        }
    });
    let cleaner = client(CLIENTS);
    let count = async {
        loop {
            let records = embedded.uncounted(20).await.unwrap();
            mesh_reactor::follow(&*embedded.counters(), &mesh_reactor::EmfMetrics, records)
                .await
                .unwrap();
        }
    };
    tokio::select! {
        _ = join(join_all(clients), cleaner.clean(files, rounds)) => {}
        () = count => {}
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap()
}

pub(crate) fn lane() -> Lane {
    testing::task().lane()
}

struct Client<'a> {
    embedded: &'a Embedded,
    ledger: &'a Ledger,
    tenant: Tenant,
    rng: Rng,
}

impl Client<'_> {
    async fn round(&mut self) {
        let created = match self.rng.u8(..5) {
            0 => vec![self.submit(None).await],
            1 => {
                let id = TaskId::generate();
                let input = self.put_input(id).await;
                vec![self.submit(Some((id, input))).await]
            }
            2 => {
                let upload = self.upload().await;
                vec![self.submit(Some((TaskId::generate(), upload))).await]
            }
            3 => self.submit_batch().await,
            _ => {
                let id = self.remember().await;
                let input = self.put_input(id).await;
                vec![self.submit(Some((id, input))).await]
            }
        };
        for id in created {
            let task = self.ledger.task(id);
            self.send(&mut *task.lock().await).await;
        }
        let queue = self.embedded.lane(lane());
        for received in queue.receive(2, HOUR, Duration::ZERO).await.unwrap() {
            self.work(received).await;
        }
        if self.rng.u8(..3) == 0 {
            self.intervene().await;
        }
    }

    fn new_task(&self, input: Option<(TaskId, ObjectRef)>) -> Task {
        let mut draft = TaskDraft {
            tenant: self.tenant.clone(),
            ..testing::draft(TaskType::Sentiment)
        };
        if let Some((id, object)) = input {
            let parameters = Map::new();
            draft.id = id;
            draft.payload = Payload::Object { object, parameters };
        }
        Task::new(draft, now(), now() + HOUR)
    }

    async fn submit(&mut self, input: Option<(TaskId, ObjectRef)>) -> TaskId {
        self.submit_for(input, HOUR).await
    }

    /// Submits a task that is kept for so long.
    async fn submit_for(&mut self, input: Option<(TaskId, ObjectRef)>, retention: Duration) -> TaskId {
        let task = self.new_task(input);
        let history = self.ledger.task(task.id);
        let begun = self.now();
        let existing = self.embedded.tasks().create(&task, retention).await.unwrap();
        assert_eq!(existing, None);
        let id = task.id;
        let mut history = history.lock().await;
        history.has_expired = retention.is_zero();
        history.states.push(begun, self.now(), Some(task));
        id
    }

    async fn submit_batch(&mut self) -> Vec<TaskId> {
        let tasks: Vec<_> = (0..3).map(|_| self.new_task(None)).collect();
        let begun = self.now();
        let left = self
            .embedded
            .tasks()
            .create_all(&tasks, HOUR, Instant::now() + HOUR)
            .await;
        assert!(left.unwrap().is_empty());
        let answered = self.now();
        let mut ids = Vec::new();
        for task in tasks {
            ids.push(task.id);
            let history = self.ledger.task(task.id);
            history.lock().await.states.push(begun, answered, Some(task));
        }
        ids
    }

    async fn remember(&mut self) -> TaskId {
        let record = KeyRecord {
            request_sha256: hex::encode(Sha256::digest(self.body())),
            task_id: TaskId::generate(),
        };
        let (tenant, key) = (self.tenant.clone(), format!("key-{}", record.task_id));
        let begun = self.now();
        let kept = self
            .embedded
            .tasks()
            .remember(&tenant, &key, record.clone(), now())
            .await;
        assert_eq!(kept.unwrap(), record);
        let id = record.task_id;
        let record = history(begun, self.now(), record);
        self.ledger.add_key(Key { tenant, key, record });
        id
    }

    async fn put_input(&mut self, id: TaskId) -> ObjectRef {
        let (body, begun) = (self.body(), self.now());
        let store = self.embedded.payload_store();
        let input = store.put_input(&self.tenant, id, body, "text/plain").await;
        self.stored(begun, input.unwrap())
    }

    async fn upload(&mut self) -> ObjectRef {
        let (body, begun) = (self.body(), self.now());
        let payloads = self.embedded.payloads();
        let mut incoming = payloads.receive().unwrap();
        for part in body.chunks(1_000) {
            incoming.write(part).unwrap();
        }
        let key = UploadId::generate().key(&self.tenant);
        let announced = (hex::encode(Sha256::digest(&body)), body.len() as u64);
        let announced = (announced.0.as_str(), announced.1);
        let accepted = payloads.accept(key.clone(), "image/png".to_owned(), incoming, announced);
        accepted.await.unwrap();
        let pinned = self.embedded.payload_store().pin(key).await.unwrap();
        self.stored(begun, pinned.object)
    }

    fn stored(&self, begun: usize, object: ObjectRef) -> ObjectRef {
        self.ledger.payloads().push(StoredPayload {
            states: history(begun, self.now(), Some(object.clone())),
            has_expired: false,
        });
        object
    }

    async fn send(&self, task: &mut TaskHistory) {
        let message = task.newest().unwrap().message();
        let begun = self.now();
        let queues = self.embedded.queues();
        queues
            .for_lane(lane())
            .send(&message, Duration::ZERO)
            .await
            .unwrap();
        let sent = task.messages.entry(message.generation).or_default();
        sent.push(begun, self.now(), true);
    }

    /// Runs a task, to one of its ends or into the next power cut.
    async fn work(&mut self, received: Received) {
        let message = received.message.unwrap();
        let history = self.ledger.task(message.id);
        let mut task = history.lock().await;
        let claim = claim(&message, Isolation::Batched, now(), now() + HOUR);
        if let Some(claimed) = self.write(&mut task, &claim).await {
            let failure = RunError::timeout().into_failure(FailureKind::Permanent);
            let write = match self.rng.u8(..6) {
                0 => claimed.complete(&testing::finished(), now()),
                1 | 2 => claimed.complete(&self.put_result(&claimed).await, now()),
                3 => claimed.fail(&failure, Outcome::Permanent, now()),
                4 => claimed.schedule_retry(&failure, Outcome::Throttled, now(), None, now()),
                // Its worker is still busy.
                _ => return,
            };
            self.write(&mut task, &write).await;
        }
        let begun = self.now();
        self.embedded.lane(lane()).delete(received.receipt).await.unwrap();
        let deleted = task.messages.entry(message.generation).or_default();
        deleted.push(begun, self.now(), false);
    }

    /// Stores a result of a task as a file.
    async fn put_result(&mut self, task: &Task) -> Finished {
        let (body, begun) = (self.body(), self.now());
        let result = self.embedded.payload_store().put_result(task, body).await;
        Finished {
            result: StoredResult::Object(self.stored(begun, result.unwrap())),
            ..testing::finished()
        }
    }

    /// Cancels some task, or redrives it if it failed or was cancelled.
    async fn intervene(&mut self) {
        let ids = self.ledger.task_ids();
        let history = self.ledger.task(ids[self.rng.usize(..ids.len())]);
        let mut task = history.lock().await;
        let Some(newest) = task.newest().filter(|_| !task.has_expired) else {
            return;
        };
        let redrive = newest.redrive(now() + HOUR, now() + HOUR, now());
        if self.write(&mut task, &redrive).await.is_some() {
            self.send(&mut task).await;
        } else {
            self.write(&mut task, &cancel(now())).await;
        }
    }

    async fn write(&self, task: &mut TaskHistory, write: &Write) -> Option<Task> {
        let newest = task.newest()?;
        let (tenant, id, begun) = (newest.tenant.clone(), newest.id, self.now());
        match self.embedded.tasks().write(&tenant, id, write).await.unwrap() {
            WriteOutcome::Applied(written) => {
                task.states.push(begun, self.now(), Some((*written).clone()));
                Some(*written)
            }
            WriteOutcome::ConditionFailed(_) => None,
        }
    }

    fn body(&mut self) -> Vec<u8> {
        let length = self.rng.usize(1..6_000);
        std::iter::repeat_with(|| self.rng.u8(..)).take(length).collect()
    }

    /// The position in the journal.
    fn now(&self) -> usize {
        self.ledger.journal.position()
    }
}

fn history<T>(begun: usize, answered: usize, state: T) -> History<T> {
    let mut history = History::default();
    history.push(begun, answered, state);
    history
}

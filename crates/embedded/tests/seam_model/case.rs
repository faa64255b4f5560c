//! One case: the steps, what follows once no more faults come, and what must hold then.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mesh_backend::BackendError;
use mesh_embedded::{EmbeddedQueue, Received};
use mesh_reactor::EmfMetrics;
use mesh_stats::{Counts, Record, Sequence};
use mesh_task::{Payload, Status, Task, TaskId, Tenant};
use mesh_worker::{Deliveries, Delivery, Invocation, Worker};
use tokio::time::Instant;
use tracing::Span;

use crate::client::{self, Answers};
use crate::faulty::FaultyQueue;
use crate::history::{Life, lives, require};
use crate::process::{Fault, PROCESS, Process, call, lock};
use crate::runner::{Attempts, Scripted};
use crate::steps::{End, RECEIVED, Step, Submission, Work};
use crate::world::{LEASE, MAX_RECEIVES, World, policies};

/// How long a batch may take.
const BATCH_TIME: Duration = Duration::from_secs(60);
/// A message that is not answered for comes again after this time.
const VISIBILITY: Duration = Duration::from_secs(360);
/// How long a sweep may take.
const SWEEP_TIME: Duration = Duration::from_secs(60);
/// How much time passes before each look of the sweeper, once no more faults come.
const LONG: Duration = Duration::from_secs(2 * 3_600);
/// All tasks have ended after this many looks.
const MAX_LOOKS: usize = 6;
/// More messages than a case has.
const MANY: usize = 1_000;

/// The changes that were read, in order.
type History = BTreeMap<Sequence, Record>;

/// A process that has not ended.
struct Running {
    process: Arc<Process>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Running {
    /// Lets it work until it ends or is frozen. Returns it if it is frozen.
    async fn drive(mut self) -> Option<Self> {
        let is_frozen = tokio::select! {
            biased;
            () = &mut self.future => false,
            is_frozen = self.process.stopped() => is_frozen,
        };
        is_frozen.then_some(self)
    }
}

pub(crate) struct Case {
    world: Arc<World>,
    answers: Arc<Mutex<Answers>>,
    attempts: Arc<Mutex<Attempts>>,
    history: Arc<Mutex<History>>,
    frozen: Vec<Running>,
}

impl Case {
    /// Takes all steps, lets all tasks end, and checks what became of them.
    pub(crate) async fn run(world: &Arc<World>, steps: Vec<Step>) -> Result<(), String> {
        let mut case = Self {
            world: Arc::clone(world),
            answers: Arc::default(),
            attempts: Arc::default(),
            history: Arc::default(),
            frozen: Vec::new(),
        };
        for step in steps {
            case.step(step).await;
        }
        case.come_to_rest().await?;
        case.check().await
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Start { work, faults } => self.start(work, faults).await,
            Step::Thaw { process } => {
                if let Some(running) = self.take_frozen(process) {
                    running.process.thaw();
                    self.frozen.extend(running.drive().await);
                }
            }
            Step::Kill { process } => drop(self.take_frozen(process)),
            Step::Wait { seconds } => self.world.pass(Duration::from_secs(seconds.unsigned_abs())),
        }
    }

    fn take_frozen(&mut self, process: usize) -> Option<Running> {
        let index = self.frozen.len().checked_sub(process + 1)?;
        Some(self.frozen.remove(index))
    }

    async fn start(&mut self, work: Work, faults: HashMap<usize, Fault>) {
        let process = Process::new(faults);
        let world = Arc::clone(&self.world);
        let answers = Arc::clone(&self.answers);
        let accepted = lock(&self.answers).accepted.clone();
        let task = |task: usize| accepted.get(task.checked_rem(accepted.len())?).copied();
        let future: Pin<Box<dyn Future<Output = ()>>> = match work {
            Work::Submit(submission) => Box::pin(client::submit(world, answers, submission)),
            Work::Cancel { task: wanted } => match task(wanted) {
                Some(task) => Box::pin(client::cancel(world, answers, task)),
                None => return,
            },
            Work::Retry { task: wanted } => match task(wanted) {
                Some(task) => Box::pin(client::retry(world, answers, task)),
                None => return,
            },
            Work::Redrive => Box::pin(client::redrive(world)),
            Work::Run { is_large, most, ends } => {
                let runner = Scripted {
                    process: Arc::clone(&process),
                    ends,
                    attempts: Arc::clone(&self.attempts),
                };
                let queue = world.queue(is_large);
                Box::pin(run(world, queue, most, runner))
            }
            Work::Sweep => Box::pin(async move {
                world.sweeper.sweep_overdue(Instant::now() + SWEEP_TIME).await;
            }),
            Work::ResendDeadLetters => Box::pin(resend_dead_letters(world)),
            Work::Count => Box::pin(count(world, Arc::clone(&self.history))),
        };
        let future = Box::pin(PROCESS.scope(Arc::clone(&process), future));
        let running = Running { process, future };
        self.frozen.extend(running.drive().await);
    }

    /// From now on nothing fails: what is frozen goes on, the clients repeat their requests, and all tasks end.
    async fn come_to_rest(&mut self) -> Result<(), String> {
        for running in std::mem::take(&mut self.frozen) {
            running.process.heal();
            running.process.thaw();
            require(running.drive().await.is_none(), "a healed process ends", ())?;
        }
        self.repeat_requests().await;
        for _ in 0..MAX_LOOKS {
            self.work_off().await;
            if self.is_at_rest() {
                // A repeat finds what is there, and begins nothing.
                self.repeat_requests().await;
                return require(self.is_at_rest(), "a repeat changes nothing", ());
            }
            self.world.pass(LONG);
            self.start(Work::Sweep, HashMap::new()).await;
            self.start(Work::ResendDeadLetters, HashMap::new()).await;
        }
        Err(format!(
            "not at rest: {} messages, {} tasks in flight",
            self.world.rows("messages"),
            self.world.rows("tasks WHERE due_at IS NOT NULL"),
        ))
    }

    async fn repeat_requests(&mut self) {
        let keyed: Vec<Submission> = lock(&self.answers).keyed();
        for submission in keyed {
            self.start(Work::Submit(submission), HashMap::new()).await;
        }
    }

    /// Runs what is visible, and counts all changes.
    async fn work_off(&mut self) {
        for is_large in [false, true] {
            let ends = [End::Result; RECEIVED];
            let most = MANY;
            self.start(Work::Run { is_large, most, ends }, HashMap::new())
                .await;
            // The first run has left the quarantined tasks' messages, or none.
            self.start(Work::Run { is_large, most, ends }, HashMap::new())
                .await;
        }
        self.start(Work::Count, HashMap::new()).await;
    }

    fn is_at_rest(&self) -> bool {
        let tables = ["messages", "outbox", "tasks WHERE due_at IS NOT NULL"];
        tables.into_iter().all(|table| self.world.rows(table) == 0)
    }

    async fn check(&self) -> Result<(), String> {
        let history = lock(&self.history).clone();
        let lives = lives(history.values(), &lock(&self.attempts))?;
        lock(&self.answers).check(&lives)?;
        for (id, fence) in lock(&self.attempts).keys() {
            let was_claimed = history.values().any(|record| {
                let claim = record
                    .new
                    .as_ref()
                    .filter(|task| (task.id, task.fence) == (*id, *fence));
                claim.is_some_and(|task| task.status == Status::Processing)
            });
            require(was_claimed, "a task runs under a claim", id)?;
        }
        let tasks = self.tasks(&lives).await?;
        self.check_payloads(&tasks).await?;
        self.check_counters(&history, &tasks).await
    }

    /// The tasks that are stored, which are those of the history.
    async fn tasks(&self, lives: &BTreeMap<TaskId, Life>) -> Result<Vec<Task>, String> {
        let keys = lives.keys().map(|id| (Tenant::first(), *id)).collect();
        let tasks = self.world.embedded.tasks().get_many(keys).await;
        let tasks = tasks.map_err(|error| error.to_string())?;
        let stored = usize::try_from(self.world.rows("tasks")).unwrap_or(usize::MAX);
        require(
            (tasks.len(), lives.len()) == (stored, stored),
            "the tasks of the history are stored",
            stored,
        )?;
        let mut names = HashSet::new();
        for task in &tasks {
            let last = &lives[&task.id].last;
            let is_last = (task.status, task.fence, task.attempt) == (last.status, last.fence, last.attempt);
            require(is_last, "the history's last state is stored", task)?;
            require(task.status.is_final(), "every task ends", task)?;
            let name = task.metadata.get("submission").map_or("", String::as_str);
            let is_new = name.starts_with("new") || names.insert(name);
            require(is_new, "a key has one task", name)?;
        }
        Ok(tasks)
    }

    async fn check_payloads(&self, tasks: &[Task]) -> Result<(), String> {
        let payloads = self.world.embedded.payload_store();
        for task in tasks {
            let input = match &task.payload {
                Payload::Object { object, .. } => Some(object),
                Payload::Inline(_) => None,
            };
            for object in input.into_iter().chain(&task.result_object) {
                let read = payloads.read(object).await;
                require(read.is_ok(), "a payload that a task names exists", object)?;
            }
        }
        Ok(())
    }

    async fn check_counters(&self, history: &History, tasks: &[Task]) -> Result<(), String> {
        let mut counts = Counts::default();
        for task in tasks {
            counts.add(task.task_type, task.status, 1);
        }
        let store = self.world.embedded.counters();
        let counters = store.counters(&Tenant::first()).await;
        let counters = counters.map_err(|error| error.to_string())?;
        require(
            counters.counts == counts,
            "the counters equal the tasks",
            (&counters.counts, &counts),
        )?;
        let log = store.changes(&Tenant::first(), &counters, 0, usize::MAX).await;
        let log = log.map_err(|error| error.to_string())?.unwrap_or_default();
        let logged: Vec<_> = log.into_iter().map(|(_, change)| change).collect();
        let changes: Vec<_> = history.values().filter_map(Record::change).collect();
        require(
            logged == changes,
            "the log has each change once",
            (logged.len(), changes.len()),
        )
    }
}

/// Receives messages and handles them, as the server's consumers do.
async fn run(world: Arc<World>, queue: Arc<EmbeddedQueue>, most: usize, runner: Scripted) {
    let received = call("receive", || queue.receive(most, VISIBILITY, Duration::ZERO)).await;
    let Ok(received) = received else { return };
    let receipts: Vec<_> = received.iter().map(|received| received.receipt.clone()).collect();
    let worker = Worker {
        tasks: Arc::clone(&world.tasks),
        payloads: Arc::clone(&world.payloads),
        policies: policies(),
        lease: LEASE,
        max_receives: MAX_RECEIVES,
        batch_metrics: Arc::default(),
        runner: Arc::new(runner),
    };
    let invocation = Invocation::until(SystemTime::now() + BATCH_TIME);
    let handled = worker.handle(deliveries(received, &queue), invocation).await;
    for receipt in receipts {
        if !handled.retained.contains(&receipt) {
            // On an error the message comes again.
            let _ = delete(&queue, &receipt).await;
        }
    }
}

fn deliveries(received: Vec<Received>, queue: &Arc<EmbeddedQueue>) -> Deliveries {
    let mut batch = Deliveries {
        received: received.len(),
        ..Deliveries::default()
    };
    for received in received {
        let Some(message) = received.message else { continue };
        if batch.deliveries.iter().any(|known| known.message == message) {
            continue;
        }
        batch.deliveries.push(Delivery {
            span: Span::none(),
            message,
            message_id: received.receipt.clone(),
            queue: Arc::new(FaultyQueue(Arc::<EmbeddedQueue>::clone(queue))),
            receipt_handle: received.receipt,
            receives: received.receives,
            trace: received.trace,
        });
    }
    batch
}

async fn delete(queue: &EmbeddedQueue, receipt: &str) -> Result<(), BackendError> {
    call("delete", || Box::pin(queue.delete(receipt.to_owned()))).await
}

/// Handles the dead letters, as the server does.
async fn resend_dead_letters(world: Arc<World>) {
    let queue = world.embedded.dead_letters();
    let received = call("receive", || queue.receive(MANY, SWEEP_TIME, Duration::ZERO)).await;
    for letter in received.unwrap_or_default() {
        let Some(message) = letter.message else { continue };
        if world
            .sweeper
            .resend_message(&message, letter.receives)
            .await
            .is_ok()
        {
            let _ = delete(&queue, &letter.receipt).await;
        }
    }
}

/// Counts the changes that are not counted yet.
async fn count(world: Arc<World>, history: Arc<Mutex<History>>) {
    loop {
        let read = call("uncounted", || {
            Box::pin(async {
                // Without a change the call would wait for one.
                match world.rows("outbox") {
                    0 => Ok(Vec::new()),
                    _ => world.embedded.uncounted(MANY).await,
                }
            })
        });
        let Ok(records) = read.await else { return };
        if records.is_empty() {
            return;
        }
        let read = records
            .iter()
            .map(|record| (record.sequence.clone(), record.clone()));
        lock(&history).extend(read);
        let counted = mesh_reactor::follow(&*world.counters, &EmfMetrics, records).await;
        if counted.is_err() {
            return;
        }
    }
}

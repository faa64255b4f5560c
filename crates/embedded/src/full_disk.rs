//! What a full disk does. A limit on the pages of the database makes it full, and lifting the limit makes room.

use std::fs::File;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use futures_util::future::{join, join_all};
use jiff::Timestamp;
use mesh_backend::{BackendError, TaskQueue, WriteOutcome};
use mesh_task::{
    Isolation, OwnPolicies, RetryPolicies, RetryPolicy, RunError, RunOutput, Status, Summary, Task,
    TaskDraft, TaskFilter, TaskResult, TaskType, claim, testing,
};
use mesh_worker::{Deliveries, Delivery, Invocation, Job, Runner, Stop, Worker};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::incoming::Incoming;
use crate::{Damage, Disk, Embedded, Settings};

const DAY: Duration = Duration::from_hours(24);
/// More than a page of the database has.
const LARGE: usize = 20_000;

fn open() -> (TempDir, Arc<Embedded>) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        address: "http://127.0.0.1:8000".to_owned(),
        max_receives: 3,
    };
    let embedded = Embedded::open(folder.path(), settings).unwrap();
    (folder, Arc::new(embedded))
}

fn new_task() -> Task {
    let now = Timestamp::now();
    Task::new(testing::draft(TaskType::Sentiment), now, now)
}

/// A task that needs several pages.
fn large_task() -> Task {
    let now = Timestamp::now();
    let draft = TaskDraft {
        correlation_id: "a".repeat(LARGE),
        ..testing::draft(TaskType::Sentiment)
    };
    Task::new(draft, now, now)
}

/// Sets how many pages the database may have; it never has fewer than it has.
async fn limit(embedded: &Embedded, pages: u32) -> Result<(), BackendError> {
    let written = embedded.tasks.database.write("limit", move |connection| {
        connection.pragma_update(None, "max_page_count", pages)
    });
    written.await
}

/// Creates small tasks until none fits, and returns them.
async fn fill(embedded: &Embedded) -> Vec<Task> {
    limit(embedded, 1).await.unwrap();
    let mut stored = Vec::new();
    loop {
        let task = new_task();
        match embedded.tasks().create(&task, DAY).await {
            Ok(_) => stored.push(task),
            Err(error) => {
                assert!(error.is_out_of_space(), "{error}");
                return stored;
            }
        }
    }
}

async fn make_room(embedded: &Embedded) {
    // It fails beside a write that did not fit.
    while limit(embedded, u32::MAX >> 1).await.is_err() {}
}

async fn status(embedded: &Embedded, task: &Task) -> Option<Status> {
    let found = embedded.tasks().get(&task.tenant, task.id).await.unwrap();
    found.map(|task| task.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_fail_as_out_of_space_and_reads_go_on() {
    let (_folder, embedded) = open();
    let stored = fill(&embedded).await;
    let tasks = embedded.tasks();
    assert_eq!(status(&embedded, &stored[0]).await, Some(Status::Pending));
    let (tenant, until) = (stored[0].tenant.clone(), Instant::now() + DAY);
    let filter = TaskFilter::default();
    let page = tasks.list(&tenant, &filter, None, 10, until);
    assert_eq!(page.await.unwrap().entries.len(), 10.min(stored.len()));
    let batch = [large_task(), new_task()];
    let refused = tasks.create_all(&batch, DAY, until).await.unwrap_err();
    assert!(refused.is_out_of_space(), "{refused}");
    assert_eq!(status(&embedded, &batch[1]).await, None);
    let input = "a".repeat(LARGE).into_bytes();
    let stored = embedded
        .payload_store()
        .put_input(&tenant, batch[0].id, input, "text/plain")
        .await;
    // Its row may have fitted into a page.
    assert!(
        stored.as_ref().err().is_none_or(BackendError::is_out_of_space),
        "{stored:?}"
    );
    make_room(&embedded).await;
    assert!(tasks.create_all(&batch, DAY, until).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writes_in_one_group_each_is_made_or_is_refused_as_out_of_space() {
    let (_folder, embedded) = open();
    limit(&embedded, 1).await.unwrap();
    let (release, released) = mpsc::channel();
    let blocking = embedded.tasks.database.write("block", move |_| {
        // What is sent meanwhile becomes one group.
        let _ = released.recv();
        Ok(())
    });
    let tasks = [new_task(), large_task(), new_task(), new_task()];
    let store = embedded.tasks();
    let creating = join_all(tasks.iter().map(|task| store.create(task, DAY)));
    // The first write may belong to the group.
    let ((_, created), ()) = join(join(blocking, creating), async { release.send(()).unwrap() }).await;
    assert!(created[1].as_ref().is_err_and(BackendError::is_out_of_space));
    for (task, created) in tasks.iter().zip(created) {
        let is_stored = status(&embedded, task).await.is_some();
        match created {
            Ok(_) => assert!(is_stored),
            Err(error) => assert!(error.is_out_of_space() && !is_stored, "{error}"),
        }
    }
}

/// A task whose worker's lease is over.
async fn overdue(embedded: &Embedded) -> Task {
    let task = new_task();
    embedded.tasks().create(&task, DAY).await.unwrap();
    let now = Timestamp::now();
    let claim = claim(
        &task.message(),
        Isolation::Batched,
        now,
        now - Duration::from_secs(60),
    );
    match embedded
        .tasks()
        .write(&task.tenant, task.id, &claim)
        .await
        .unwrap()
    {
        WriteOutcome::Applied(task) => *task,
        refused @ WriteOutcome::ConditionFailed(_) => panic!("{refused:?}"),
    }
}

/// Whether the sweeper takes the task from its worker.
async fn reclaim(embedded: &Embedded, task: &Task) -> bool {
    let reclaim = task.reclaim(None, Timestamp::now());
    let written = embedded.tasks().write(&task.tenant, task.id, &reclaim).await;
    matches!(written.unwrap(), WriteOutcome::Applied(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_could_not_be_renewed_is_extended_before_anyone_may_reclaim_the_task() {
    let (_folder, embedded) = open();
    let [running, ended] = [overdue(&embedded).await, overdue(&embedded).await];
    assert!(
        reclaim(&embedded, &ended).await,
        "a lease that is over is reclaimed"
    );
    fill(&embedded).await;
    make_room(&embedded).await;
    assert!(!reclaim(&embedded, &running).await);
    let renew = running.renew(Timestamp::now() + Duration::from_secs(30));
    let renewed = embedded.tasks().write(&running.tenant, running.id, &renew).await;
    assert!(matches!(renewed.unwrap(), WriteOutcome::Applied(_)));
    assert_eq!(status(&embedded, &ended).await, Some(Status::Pending));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_can_t_be_read_holds_up_no_write_and_a_check_names_it() {
    let (folder, embedded) = open();
    let task = overdue(&embedded).await;
    let id = task.id.to_string();
    let written = embedded.tasks.database.write("damage", move |connection| {
        connection.execute("UPDATE tasks SET item = '{' WHERE id = ?", [id])
    });
    assert_eq!(written.await.unwrap(), 1);
    fill(&embedded).await;
    make_room(&embedded).await;
    embedded.tasks().create(&new_task(), DAY).await.unwrap();
    let found = crate::check(folder.path()).unwrap().damage;
    let id = task.id.to_string();
    assert!(
        matches!(&found[..], [Damage::Task { id: found, .. }] if *found == id),
        "{found:?}"
    );
}

/// Fills the disk while its task runs, and makes room when the attempt's end was to be written once.
struct Filling(Arc<Embedded>);

impl Runner for Filling {
    const READS_OBJECTS: bool = false;

    fn run(&self, jobs: &[Job], _: &Stop) -> Vec<Result<RunOutput, RunError>> {
        Handle::current().block_on(fill(&self.0));
        let output = RunOutput {
            result: TaskResult::Summary(Summary {
                summary: "a".repeat(LARGE),
                sentences: Vec::new(),
            }),
            ..testing::run_output()
        };
        vec![Ok(output); jobs.len()]
    }

    async fn wrap_settle<F: Future + Send>(&self, _task: &Task, settle: F) -> F::Output {
        let (mut settle, mut room) = (Box::pin(settle), Box::pin(make_room(&self.0)));
        let mut has_room = false;
        // The end is sent to the database first, and does not fit.
        poll_fn(move |context| {
            let settled = settle.as_mut().poll(context);
            if settled.is_pending() && !has_room {
                has_room = room.as_mut().poll(context).is_ready();
            }
            settled
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_attempt_waits_for_space() {
    let (_folder, embedded) = open();
    let task = new_task();
    embedded.tasks().create(&task, DAY).await.unwrap();
    let policy = RetryPolicy {
        max_attempts: 3,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
    };
    let worker = Worker {
        tasks: embedded.tasks(),
        payloads: embedded.payload_store(),
        policies: RetryPolicies {
            general: policy,
            own: OwnPolicies::default(),
        },
        lease: Duration::from_secs(30),
        max_receives: 3,
        batch_metrics: Arc::default(),
        runner: Arc::new(Filling(Arc::clone(&embedded))),
    };
    let batch = Deliveries {
        received: 1,
        deliveries: vec![Delivery {
            message: task.message(),
            message_id: "message".to_owned(),
            queue: embedded.lane(task.lane()) as Arc<dyn TaskQueue>,
            receipt_handle: "message".to_owned(),
            receives: 1,
            trace: None,
            span: tracing::Span::none(),
        }],
        foreign: Vec::new(),
    };
    let handled = worker
        .handle(batch, Invocation::until(SystemTime::now() + DAY))
        .await;
    assert!(handled.retained.is_empty(), "{handled:?}");
    let found = embedded
        .tasks()
        .get(&task.tenant, task.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.status, found.attempt), (Status::Completed, 1));
}

#[test]
fn a_file_that_does_not_fit_fails_as_out_of_space() {
    let device = File::options().write(true).open("/dev/full").unwrap();
    let refused = Incoming::new("/none".into(), Box::new(device), Arc::new(Disk))
        .write(b"text")
        .unwrap_err();
    assert!(refused.is_out_of_space(), "{refused}");
}

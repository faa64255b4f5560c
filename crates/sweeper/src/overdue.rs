//! Tasks that are in flight for long: their message was never sent or is lost, or their worker is gone.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_backend::{BackendError, Due};
use mesh_task::Task;
use tokio::time::Instant;

use crate::Sweeper;
use crate::sweep::SweepOutcome;

/// About how many tasks are read and swept at a time.
const PAGE: usize = 50;
/// How long sending a page's messages may take when the run's time is over. It is a part of what a run leaves of its
/// invocation: a task whose check was deferred and whose message is not sent waits until its next check.
const SEND_WITHIN: Duration = Duration::from_secs(3);

/// What a run did.
#[derive(Debug, Default)]
pub struct SweepReport {
    /// Tasks that were due.
    pub seen: usize,
    /// Tasks that a new message was sent for, since theirs may be lost.
    pub requeued: usize,
    /// Tasks whose lease had expired and that became pending again.
    pub reclaimed: usize,
    /// Tasks that failed because their attempts were exhausted.
    pub exhausted: usize,
    /// Whether every due task was seen; else the rest is left to the next run.
    pub is_complete: bool,
    /// The error of the last page that could not be read.
    pub error: Option<BackendError>,
}

/// The names of the queues that have visible messages.
type Backlogs = HashSet<String>;

impl Sweeper {
    /// Sweeps the tasks that are due, page by page, until none is left or the time is over. What is left then, and a page
    /// that could not be read, is still due at the next run.
    pub async fn sweep_overdue(&self, until: Instant) -> SweepReport {
        let now = Timestamp::now();
        let backlogs = self.backlogs().await;
        let mut report = SweepReport::default();
        let mut due = self.tasks.due(now);
        while Instant::now() < until {
            let swept = match due.next_page(PAGE).await {
                None => {
                    report.is_complete = report.error.is_none();
                    break;
                }
                Some(Ok(page)) => self.sweep_page(page, &backlogs, now, until, &mut report).await,
                Some(Err(error)) => Err(error),
            };
            if let Err(error) = swept {
                tracing::error!(event = "due_tasks_unreadable", %error, "due tasks could not be read");
                report.error = Some(error);
            }
        }
        report
    }

    /// A queue that does not answer counts as one with a backlog: its tasks are then checked again later.
    async fn backlogs(&self) -> Backlogs {
        let depths = self.queues.each().map(async |(_, queue)| {
            let has_backlog = match queue.depth().await {
                Ok(depth) => depth.visible > 0,
                Err(error) => {
                    tracing::error!(event = "queue_depth_unknown", queue = queue.name(), %error, "a queue's depth could not be read");
                    true
                }
            };
            has_backlog.then(|| queue.name().to_owned())
        });
        join_all(depths).await.into_iter().flatten().collect()
    }

    async fn sweep_page(
        &self,
        due: Vec<Due>,
        backlogs: &Backlogs,
        now: Timestamp,
        until: Instant,
        report: &mut SweepReport,
    ) -> Result<(), BackendError> {
        let keys = due.into_iter().map(|due| (due.tenant, due.id)).collect();
        let tasks = self.tasks.get_many(keys).await?;
        report.seen += tasks.len();
        let outcomes = join_all(tasks.iter().map(|task| self.sweep_due(task, backlogs, now))).await;
        let mut messages = Vec::new();
        for (task, outcome) in tasks.iter().zip(outcomes) {
            let message = match outcome {
                Ok(SweepOutcome::Deferred) => continue,
                Ok(SweepOutcome::Failed) => {
                    report.exhausted += 1;
                    continue;
                }
                Ok(SweepOutcome::Requeue(message)) => {
                    report.requeued += 1;
                    message
                }
                Ok(SweepOutcome::Reclaimed(message)) => {
                    report.reclaimed += 1;
                    message
                }
                // The other tasks go on: this one is still due.
                Err(error) => {
                    tracing::error!(event = "task_not_swept", task_id = %task.id, %error, "a due task could not be changed");
                    continue;
                }
            };
            messages.push((task.lane(), message));
        }
        let until = until.max(Instant::now() + SEND_WITHIN);
        for id in self.queues.send_batch(messages, until).await {
            tracing::error!(event = "message_not_sent", task_id = %id, "a task's message could not be sent; its next check sends another");
        }
        Ok(())
    }

    async fn sweep_due(
        &self,
        task: &Task,
        backlogs: &Backlogs,
        now: Timestamp,
    ) -> Result<SweepOutcome, BackendError> {
        // An eventually consistent index may list a task that is not due any more.
        if task.due_at.is_none_or(|due_at| due_at > now) {
            return Ok(SweepOutcome::Deferred);
        }
        let has_backlog = backlogs.contains(self.queues.for_lane(task.lane()).name());
        self.sweep(task, task.sweep_action(has_backlog, self.policy, now), now)
            .await
    }
}

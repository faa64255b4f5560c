//! Tasks that are in flight for long: their message was never sent or is lost, or their worker is gone.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_aws::{Due, Page};
use mesh_backend::BackendError;
use mesh_task::{Shard, Task};
use tokio::time::Instant;

use crate::Sweeper;
use crate::sweep::SweepOutcome;

/// How many tasks of a shard are read and swept at a time.
const PAGE: i32 = 50;
/// How long sending a page's messages may take when the run's time is over. It is a part of what a run leaves of its
/// invocation: a task whose check was deferred and whose message is not sent waits until its next check.
const SEND_WITHIN: Duration = Duration::from_secs(3);

/// What a run over all shards did.
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
    /// The error of the last shard that could not be read.
    pub error: Option<BackendError>,
}

/// The names of the queues that have visible messages.
type Backlogs = HashSet<String>;

impl Sweeper {
    /// Sweeps the tasks that are due, page by page of each shard in turn, those that are due longest first, until none is
    /// left or the time is over. What is left then, and a shard that could not be read, is still due at the next run.
    pub async fn sweep_overdue(&self, until: Instant) -> SweepReport {
        let now = Timestamp::now();
        let backlogs = self.backlogs().await;
        let mut report = SweepReport::default();
        let mut shards: Vec<_> = Shard::all().map(|shard| (shard, None)).collect();
        while !shards.is_empty() {
            let mut unfinished = Vec::new();
            for (shard, last) in shards {
                if Instant::now() >= until {
                    return report;
                }
                match self
                    .sweep_page(shard, last, &backlogs, now, until, &mut report)
                    .await
                {
                    Ok(page) if page.has_next() => unfinished.push((shard, Some(page))),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(event = "shard_unreadable", %shard, %error, "a shard's due tasks could not be read");
                        report.error = Some(error);
                    }
                }
            }
            shards = unfinished;
        }
        report.is_complete = report.error.is_none();
        report
    }

    /// A queue that does not answer counts as one with a backlog: its tasks are then checked again later.
    async fn backlogs(&self) -> Backlogs {
        let depths = self.queues.each().map(async |(_, queue)| {
            let has_backlog = match queue.visible().await {
                Ok(visible) => visible > 0,
                Err(error) => {
                    tracing::error!(event = "queue_depth_unknown", queue = queue.name(), %error, "a queue's depth could not be read");
                    true
                }
            };
            has_backlog.then(|| queue.name().to_owned())
        });
        join_all(depths).await.into_iter().flatten().collect()
    }

    /// Sweeps the page of a shard that follows `last`, and returns it.
    async fn sweep_page(
        &self,
        shard: Shard,
        last: Option<Page<Due>>,
        backlogs: &Backlogs,
        now: Timestamp,
        until: Instant,
        report: &mut SweepReport,
    ) -> Result<Page<Due>, BackendError> {
        let page = self.table.due(shard, now, PAGE, last).await?;
        let tasks = self
            .table
            .get_many(page.entries.iter().map(|due| (&due.tenant, due.id)))
            .await?;
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
        Ok(page)
    }

    async fn sweep_due(
        &self,
        task: &Task,
        backlogs: &Backlogs,
        now: Timestamp,
    ) -> Result<SweepOutcome, BackendError> {
        // The index is eventually consistent: it may list a task that is not due any more.
        if task.due_at.is_none_or(|due_at| due_at > now) {
            return Ok(SweepOutcome::Deferred);
        }
        let has_backlog = backlogs.contains(self.queues.for_lane(task.lane()).name());
        self.sweep(task, task.sweep_action(has_backlog, self.policy, now), now)
            .await
    }
}

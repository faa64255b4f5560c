//! The tasks that are in flight for long: their message was never sent or is lost, or their worker is gone.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_cloud::{CloudError, Due, Page};
use mesh_task::{SHARDS, Task};
use tokio::time::Instant;

use crate::Janitor;
use crate::tend::Tended;

/// How many tasks of a shard are read and tended at a time.
const PAGE: i32 = 50;
/// How long ringing for a page's tasks may take when the time is up: a part of what a run leaves of its invocation, since a
/// task that was put off and is not rung for waits until its next look.
const RING_WITHIN: Duration = Duration::from_secs(3);

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) seen: usize,
    pub(crate) rung: usize,
    pub(crate) taken_back: usize,
    pub(crate) exhausted: usize,
    /// Whether nothing that was due is left for the next run.
    pub(crate) is_whole: bool,
    /// Why a shard could not be read, the last of them.
    pub(crate) failure: Option<CloudError>,
}

/// The names of the queues that have messages to see.
type Backlogs = HashSet<String>;

impl Janitor {
    /// Tends what is due, page by page of each shard in turn, the shard's longest due first, until nothing is or the time is
    /// up: what is left then is still due at the next run, as is a shard that can't be read.
    pub(crate) async fn tend_overdue(&self, until: Instant) -> Done {
        let now = Timestamp::now();
        let backlogs = self.backlogs().await;
        let mut done = Done::default();
        let mut shards: Vec<_> = (0..SHARDS).map(|shard| (format!("{shard:x}"), None)).collect();
        while !shards.is_empty() {
            let mut going_on = Vec::new();
            for (shard, last) in shards {
                if Instant::now() >= until {
                    return done;
                }
                match self
                    .tend_next(&shard, last, &backlogs, now, until, &mut done)
                    .await
                {
                    Ok(page) if page.has_next() => going_on.push((shard, Some(page))),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(shard, %error, "a shard's overdue tasks could not be read");
                        done.failure = Some(error);
                    }
                }
            }
            shards = going_on;
        }
        done.is_whole = done.failure.is_none();
        done
    }

    /// A queue that does not answer is taken to have a backlog: its tasks are only looked at later.
    async fn backlogs(&self) -> Backlogs {
        let asked = self.queues.each().map(async |(_, queue)| {
            let has_backlog = match queue.visible().await {
                Ok(visible) => visible > 0,
                Err(error) => {
                    tracing::error!(queue = queue.name(), %error, "a queue did not say what it holds");
                    true
                }
            };
            has_backlog.then(|| queue.name().to_owned())
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Tends the page of a shard that follows `last`, and answers with it.
    async fn tend_next(
        &self,
        shard: &str,
        last: Option<Page<Due>>,
        backlogs: &Backlogs,
        now: Timestamp,
        until: Instant,
        done: &mut Done,
    ) -> Result<Page<Due>, CloudError> {
        let page = self.table.due(shard, now, PAGE, last).await?;
        let tasks = self
            .table
            .get_many(page.entries.iter().map(|due| (&due.tenant, due.id)))
            .await?;
        done.seen += tasks.len();
        let tended = join_all(
            tasks
                .iter()
                .map(|task| self.tend_overdue_task(task, backlogs, now)),
        )
        .await;
        let mut messages = Vec::new();
        for (task, tended) in tasks.iter().zip(tended) {
            let message = match tended {
                Ok(Tended::Quietly) => continue,
                Ok(Tended::Exhausted) => {
                    done.exhausted += 1;
                    continue;
                }
                Ok(Tended::Ring(message)) => {
                    done.rung += 1;
                    message
                }
                Ok(Tended::TakenBack(message)) => {
                    done.taken_back += 1;
                    message
                }
                // One task's trouble is not the others': it is still due.
                Err(error) => {
                    tracing::error!(task_id = %task.id, %error, "an overdue task could not be tended");
                    continue;
                }
            };
            messages.push((task.lane(), message));
        }
        let until = until.max(Instant::now() + RING_WITHIN);
        for id in self.queues.ring_all(messages, until).await {
            tracing::error!(task_id = %id, "a task could not be rung for; the next look will");
        }
        Ok(page)
    }

    async fn tend_overdue_task(
        &self,
        task: &Task,
        backlogs: &Backlogs,
        now: Timestamp,
    ) -> Result<Tended, CloudError> {
        // The index follows the table after a moment: it may show a task that is not due any more.
        if task.due_at.is_none_or(|due_at| due_at > now) {
            return Ok(Tended::Quietly);
        }
        let has_backlog = backlogs.contains(self.queues.of(task.lane()).name());
        self.tend(task, task.tending(has_backlog, self.patience, now), now)
            .await
    }
}

//! The tasks that are in flight for long: their message was never sent or is lost, or their worker is gone.

use std::collections::HashMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use mesh_cloud::{CloudError, Due};
use mesh_task::{Lane, SHARDS, Task};
use tokio::time::Instant;

use crate::Janitor;
use crate::tend::Tended;

/// How many tasks of a shard are read and tended at a time.
const PAGE: i32 = 50;

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) seen: usize,
    pub(crate) rung: usize,
    pub(crate) taken_back: usize,
    pub(crate) exhausted: usize,
    /// Whether nothing that was due is left for the next run.
    pub(crate) is_whole: bool,
}

/// Which lanes have messages to see.
type Backlogs = HashMap<Lane, bool>;

impl Janitor {
    /// Tends what is due, the longest due first, until nothing is or the time is up: what is left then is still due at the
    /// next run.
    pub(crate) async fn tend_overdue(&self, until: Instant) -> Result<Done, CloudError> {
        let now = Timestamp::now();
        let backlogs = self.backlogs().await?;
        let mut done = Done {
            is_whole: true,
            ..Done::default()
        };
        for shard in 0..SHARDS {
            let mut last = None;
            loop {
                if Instant::now() >= until {
                    done.is_whole = false;
                    return Ok(done);
                }
                let page = self.table.due(&format!("{shard:x}"), now, PAGE, last).await?;
                self.tend_page(&page.entries, &backlogs, now, until, &mut done)
                    .await?;
                if !page.has_next() {
                    break;
                }
                last = Some(page);
            }
        }
        Ok(done)
    }

    async fn backlogs(&self) -> Result<Backlogs, CloudError> {
        let mut backlogs = Backlogs::new();
        for lane in Lane::all() {
            backlogs.insert(lane, self.queues.of(lane).visible().await? > 0);
        }
        Ok(backlogs)
    }

    async fn tend_page(
        &self,
        due: &[Due],
        backlogs: &Backlogs,
        now: Timestamp,
        until: Instant,
        done: &mut Done,
    ) -> Result<(), CloudError> {
        let tasks = self
            .table
            .get_many(due.iter().map(|due| (&due.tenant, due.id)))
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
        for id in self.queues.ring_all(messages, until).await {
            tracing::error!(task_id = %id, "a task could not be rung for; the next look will");
        }
        Ok(())
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
        let has_backlog = backlogs.get(&task.lane()).copied().unwrap_or(false);
        self.tend(task, task.tending(has_backlog, self.patience, now), now)
            .await
    }
}

//! Following the change log.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use jiff::Timestamp;
use mesh_api_types::ChangeView;
use mesh_stats::Change;
use mesh_task::{Status, Task, TaskId, Tenant};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::Events;
use crate::request::Asked;

/// A client that was cut off comes back after so long.
const RETRY: Duration = Duration::from_secs(2);
/// So often it is told that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After a change the log is read again so soon; while nothing happens each pause is half as long again, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// So many changes are read at a time.
const MOST: usize = 500;
/// What a client that fell too far behind is told, at the end.
const GONE: &str = "event: gone\ndata: {}\n\n";

/// The one task that a stream tells of, as it stood in the table when the stream began. The log lags behind the table:
/// what it still tells of the time before is no news.
#[derive(Debug, Clone, Copy)]
pub(crate) struct One {
    id: TaskId,
    generation: u32,
    fence: u64,
    updated_at: Timestamp,
}

impl One {
    pub(crate) fn new(task: &Task) -> Self {
        Self {
            id: task.id,
            generation: task.generation,
            fence: task.fence,
            updated_at: task.updated_at,
        }
    }

    /// Whether a change of the log is one of this task, and later than its state at the beginning. Under one fence only
    /// times tell what came first: where clocks differ that may cost a step in between, but never the end.
    fn is_told(&self, change: &Change) -> bool {
        let is_later = match (change.generation, change.fence).cmp(&(self.generation, self.fence)) {
            Ordering::Less => false,
            Ordering::Equal => ends(change) || change.updated_at > self.updated_at,
            Ordering::Greater => true,
        };
        change.id == self.id && is_later
    }
}

/// Whether a task is final with this change, or gone.
fn ends(change: &Change) -> bool {
    change.status.is_none_or(Status::is_final)
}

/// A stream that is under way.
pub(crate) struct Follow {
    events: Arc<Events>,
    tenant: Tenant,
    /// The one task of which it tells; all, if there is none.
    only: Option<One>,
    after: u64,
    /// Whether the log holds more than was read of it at once.
    is_behind: bool,
    until: Instant,
    pause: Duration,
    heartbeat: Instant,
    over: bool,
}

impl Follow {
    pub(crate) fn new(events: Arc<Events>, asked: Asked, after: u64, only: Option<One>) -> Self {
        Self {
            events,
            tenant: asked.tenant,
            only,
            after,
            is_behind: true,
            until: asked.until,
            pause: FIRST_PAUSE,
            heartbeat: Instant::now() + HEARTBEAT,
            over: false,
        }
    }

    /// The stream's text: at once how to come back and the beginning, then each change.
    pub(crate) fn told(self, beginning: String) -> impl Stream<Item = Result<String, Infallible>> {
        let first = format!(": following\nretry: {}\n\n{beginning}", RETRY.as_millis());
        stream::unfold((self, Some(first)), async |(mut follow, first)| {
            let text = match first {
                Some(first) => first,
                None => follow.next().await?,
            };
            Some((Ok(text), (follow, None)))
        })
    }

    /// What is to be said next; nothing when the stream is over.
    async fn next(&mut self) -> Option<String> {
        loop {
            let now = Instant::now();
            // Its time is over even where changes come without a pause.
            if self.over || now >= self.until {
                return None;
            }
            if now >= self.heartbeat {
                self.heartbeat = now + HEARTBEAT;
                return Some(":\n\n".to_owned());
            }
            // Each read costs: after a change too it is worth one only a little later.
            if !self.is_behind {
                sleep_until((now + self.pause).min(self.until).min(self.heartbeat)).await;
                self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
            }
            // Nor does a table that is slow to answer hold it up.
            match timeout_at(self.until, self.changes()).await {
                Err(_) => return None,
                Ok(Ok(text)) if text.is_empty() => {}
                Ok(Ok(text)) => return Some(text),
                Ok(Err(error)) => {
                    // The client comes back, and goes on from the last event that it has seen.
                    tracing::error!(%error, "a stream ends before its time");
                    return None;
                }
            }
        }
    }

    /// The changes since the last ones, as events.
    async fn changes(&mut self) -> Result<String, mesh_aws::AwsError> {
        let stats = &self.events.stats;
        let book = stats.counters(&self.tenant).await?;
        self.is_behind = false;
        if book.last == self.after {
            return Ok(String::new());
        }
        let Some(changes) = stats.changes(&self.tenant, &book, self.after, MOST).await? else {
            self.over = true;
            return Ok(GONE.to_owned());
        };
        self.pause = FIRST_PAUSE;
        let mut text = String::new();
        for (number, change) in changes {
            self.after = number;
            if self.only.is_some_and(|one| !one.is_told(&change)) {
                continue;
            }
            self.over = self.only.is_some() && ends(&change);
            text.push_str(&event(&ChangeView::from((number, change))));
            if self.over {
                break;
            }
        }
        self.is_behind = self.after < book.last;
        Ok(text)
    }
}

/// A change as an event.
pub(crate) fn event(change: &ChangeView) -> String {
    let mut text = String::new();
    let data = serde_json::json!(change);
    // Writing to a string does not fail.
    let _ = write!(text, "id: {}\nevent: change\ndata: {data}\n\n", change.cursor);
    text
}

#[cfg(test)]
mod tests {
    use mesh_task::TaskType;

    use super::*;

    /// A task in its second generation, in the hands of its fourth claim.
    fn one() -> One {
        One {
            id: TaskId::generate(),
            generation: 2,
            fence: 4,
            updated_at: Timestamp::constant(1_800_000_000, 0),
        }
    }

    fn change(id: TaskId, generation: u32, fence: u64, status: Option<Status>, second: i64) -> Change {
        Change {
            sequence: "1".to_owned().try_into().unwrap(),
            id,
            task_type: TaskType::Sentiment,
            from: None,
            status,
            generation,
            attempt: 1,
            fence,
            updated_at: Timestamp::constant(1_800_000_000 + second, 0),
        }
    }

    #[test]
    fn what_the_log_still_tells_of_the_time_before_is_not_told() {
        let one = one();
        let told = |generation, fence, status, second| {
            one.is_told(&change(one.id, generation, fence, status, second))
        };
        // That it failed before somebody retried it would end the stream.
        assert!(!told(1, 3, Some(Status::Failed), 5));
        assert!(!told(2, 3, Some(Status::Processing), 5));
        assert!(!told(2, 4, Some(Status::Processing), 0));
        assert!(told(2, 4, Some(Status::Pending), 1));
        assert!(told(2, 5, Some(Status::Processing), -1), "clocks differ");
    }

    #[test]
    fn the_end_is_told_whatever_the_clocks_say() {
        let one = one();
        for status in [Some(Status::Completed), Some(Status::Failed), None] {
            let end = change(one.id, 2, 4, status, -1);
            assert!(ends(&end) && one.is_told(&end), "{status:?}");
        }
    }

    #[test]
    fn of_another_task_nothing_is_told() {
        let other = change(TaskId::generate(), 9, 9, Some(Status::Completed), 9);
        assert!(!one().is_told(&other));
    }
}

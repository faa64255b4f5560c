//! Following the change log.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt::Write;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use jiff::Timestamp;
use mesh_api_types::ChangeView;
use mesh_backend::BoxFuture;
use mesh_http::PollInterval;
use mesh_stats::Change;
use mesh_task::{Status, Task, TaskId, Tenant};
use tokio::time::{Instant, timeout_at};

use crate::Events;
use crate::request::StreamRequest;

/// How long a client waits before it reconnects.
const RETRY: Duration = Duration::from_secs(2);
/// How often a comment shows the client that the connection is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many changes are read at a time.
const MAX_CHANGES: usize = 500;
/// The last event for a client whose next change is deleted.
const GONE: &str = "event: gone\ndata: {}\n\n";

/// The one task that a stream is about, in its state in the table when the stream began. The log lags behind the table,
/// so it may still report changes from before that state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WatchedTask {
    id: TaskId,
    generation: u32,
    fence: u64,
    updated_at: Timestamp,
}

impl WatchedTask {
    pub(crate) fn new(task: &Task) -> Self {
        Self {
            id: task.id,
            generation: task.generation,
            fence: task.fence,
            updated_at: task.updated_at,
        }
    }

    /// Whether a change is one of this task, and later than its state at the beginning. Under one fence only times say
    /// what came first: where clocks differ a stream may lose an intermediate state, but never the end.
    fn is_changed_by(&self, change: &Change) -> bool {
        let is_later = match (change.generation, change.fence).cmp(&(self.generation, self.fence)) {
            Ordering::Less => false,
            Ordering::Equal => ends(change) || change.updated_at > self.updated_at,
            Ordering::Greater => true,
        };
        change.id == self.id && is_later
    }
}

/// Whether a task is final with this change, or deleted.
fn ends(change: &Change) -> bool {
    change.status.is_none_or(Status::is_final)
}

/// A stream that is under way.
pub(crate) struct Follow {
    events: Arc<Events>,
    tenant: Tenant,
    /// The one task that the stream is about. `None` streams all of the tenant's tasks.
    only: Option<WatchedTask>,
    after: u64,
    /// Whether the log holds more than the last read returned.
    is_behind: bool,
    until: Instant,
    interval: PollInterval,
    heartbeat: Instant,
    /// Ends at the first change after the last read.
    changed: BoxFuture<'static, ()>,
    has_ended: bool,
}

impl Follow {
    pub(crate) fn new(
        events: Arc<Events>,
        request: StreamRequest,
        after: u64,
        only: Option<WatchedTask>,
    ) -> Self {
        Self {
            events,
            tenant: request.tenant,
            only,
            after,
            is_behind: true,
            until: request.until,
            interval: PollInterval::of_changes(),
            heartbeat: Instant::now() + HEARTBEAT,
            changed: Box::pin(ready(())),
            has_ended: false,
        }
    }

    /// The stream's text: first how to reconnect and the beginning, then each change.
    pub(crate) fn events(self, beginning: String) -> impl Stream<Item = Result<String, Infallible>> {
        let first = format!(": following\nretry: {}\n\n{beginning}", RETRY.as_millis());
        stream::unfold((self, Some(first)), async |(mut follow, first)| {
            let text = match first {
                Some(first) => first,
                None => follow.next().await?,
            };
            Some((Ok(text), (follow, None)))
        })
    }

    /// The next text to send; `None` when the stream ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            let now = Instant::now();
            // The time limit also holds where changes come without a pause.
            if self.has_ended || now >= self.until {
                return None;
            }
            if now >= self.heartbeat {
                self.heartbeat = now + HEARTBEAT;
                return Some(":\n\n".to_owned());
            }
            // Each read costs money: even after a change the next one waits for a first pause.
            if !self.is_behind {
                let until = self.until.min(self.heartbeat);
                self.interval.sleep(until, &mut self.changed).await;
            }
            self.changed = self.events.counters.changed(&self.tenant);
            // A table that is slow to answer does not delay the end.
            match timeout_at(self.until, self.changes()).await {
                Err(_) => return None,
                Ok(Ok(text)) if text.is_empty() => {}
                Ok(Ok(text)) => return Some(text),
                Ok(Err(error)) => {
                    // The client reconnects, and continues after the last event that it has seen.
                    tracing::error!(event = "stream_ended_early", %error, "a stream ended before its time");
                    return None;
                }
            }
        }
    }

    /// The changes since the last ones, as events.
    async fn changes(&mut self) -> Result<String, mesh_backend::BackendError> {
        let log = &self.events.counters;
        let counters = log.counters(&self.tenant).await?;
        self.is_behind = false;
        if counters.last == self.after {
            return Ok(String::new());
        }
        let changes = log.changes(&self.tenant, &counters, self.after, MAX_CHANGES);
        let Some(changes) = changes.await? else {
            self.has_ended = true;
            return Ok(GONE.to_owned());
        };
        self.interval.reset();
        let mut text = String::new();
        for (number, change) in changes {
            self.after = number;
            if self.only.is_some_and(|watched| !watched.is_changed_by(&change)) {
                continue;
            }
            self.has_ended = self.only.is_some() && ends(&change);
            text.push_str(&event(&ChangeView::from((number, change))));
            if self.has_ended {
                break;
            }
        }
        self.is_behind = self.after < counters.last;
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

    /// A task in its second generation, claimed for the fourth time.
    fn watched() -> WatchedTask {
        WatchedTask {
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
    fn a_change_from_before_the_stream_began_is_not_sent() {
        let task = watched();
        let is_sent = |generation, fence, status, second| {
            task.is_changed_by(&change(task.id, generation, fence, status, second))
        };
        // A failure from before a retry would end the stream.
        assert!(!is_sent(1, 3, Some(Status::Failed), 5));
        assert!(!is_sent(2, 3, Some(Status::Processing), 5));
        assert!(!is_sent(2, 4, Some(Status::Processing), 0));
        assert!(is_sent(2, 4, Some(Status::Pending), 1));
        assert!(is_sent(2, 5, Some(Status::Processing), -1), "clocks differ");
    }

    #[test]
    fn the_end_is_sent_whatever_the_clocks_say() {
        let task = watched();
        for status in [Some(Status::Completed), Some(Status::Failed), None] {
            let end = change(task.id, 2, 4, status, -1);
            assert!(ends(&end) && task.is_changed_by(&end), "{status:?}");
        }
    }

    #[test]
    fn a_change_of_another_task_is_not_sent() {
        let other = change(TaskId::generate(), 9, 9, Some(Status::Completed), 9);
        assert!(!watched().is_changed_by(&other));
    }
}

//! Following the change log.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use mesh_stats::ChangeView;
use mesh_task::{Status, TaskId, Tenant};
use tokio::time::{Instant, sleep_until};

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

/// A stream that is under way.
pub(crate) struct Follow {
    events: Arc<Events>,
    tenant: Tenant,
    /// The one task of which it tells; all, if there is none.
    only: Option<TaskId>,
    after: u64,
    until: Instant,
    pause: Duration,
    heartbeat: Instant,
    over: bool,
}

impl Follow {
    pub(crate) fn new(events: Arc<Events>, asked: Asked, after: u64, only: Option<TaskId>) -> Self {
        Self {
            events,
            tenant: asked.tenant,
            only,
            after,
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
        while !self.over {
            match self.changes().await {
                Ok(text) if !text.is_empty() => return Some(text),
                Ok(_) => {}
                Err(error) => {
                    // The client comes back, and goes on from the last event that it has seen.
                    tracing::error!(%error, "a stream ends before its time");
                    return None;
                }
            }
            let now = Instant::now();
            if now >= self.until {
                return None;
            }
            if now >= self.heartbeat {
                self.heartbeat = now + HEARTBEAT;
                return Some(":\n\n".to_owned());
            }
            sleep_until((now + self.pause).min(self.until).min(self.heartbeat)).await;
            self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        }
        None
    }

    /// The changes since the last ones, as events.
    async fn changes(&mut self) -> Result<String, mesh_cloud::CloudError> {
        let stats = &self.events.stats;
        let book = stats.book(&self.tenant).await?;
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
            if self.only.is_some_and(|id| id != change.id) {
                continue;
            }
            self.over = self.only.is_some() && change.status.is_none_or(Status::is_final);
            text.push_str(&event(&ChangeView::from((number, change))));
            if self.over {
                break;
            }
        }
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

//! The queues. A message is a hint that a task may be ready: it may be lost, duplicated or late. The task store is
//! authoritative.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use mesh_task::{Lane, Message, TaskId};
use mesh_telemetry::Trace;
use tokio::time::Instant;

use crate::BackendFuture;

/// The longest delay of a message, when it is sent and when its visibility timeout is changed.
pub const MAX_DELAY: Duration = Duration::from_mins(15);

/// How many messages a queue contains, by state. The counts may be approximate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Available to consumers.
    pub visible: u64,
    /// Received, and neither deleted nor visible again.
    pub in_flight: u64,
    /// Not visible until their delay ends.
    pub delayed: u64,
}

/// A queue of messages, each about one task.
pub trait TaskQueue: Debug + Send + Sync {
    /// The queue's name, unique in its stack.
    fn name(&self) -> &str;

    /// Sends a task's message as a part of `trace`: that of the message that it replaces. It becomes visible after `delay`,
    /// at most [`MAX_DELAY`]: longer delays are cut to it.
    ///
    /// # Errors
    /// When the message may not have been accepted.
    fn send_traced<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
        trace: Option<&'a Trace>,
    ) -> BackendFuture<'a, ()>;

    /// Sends messages that are visible at once, again those that the queue did not accept, and returns the ones that may not
    /// have been accepted by then. The errors are logged.
    fn send_many(&self, messages: Vec<Message>, until: Instant) -> BoxFuture<'_, Vec<Message>>;

    /// Changes the visibility timeout of a received message: it is delivered again after `delay`, at once if that is zero.
    ///
    /// # Errors
    /// When the message may have its former visibility timeout still.
    fn change_visibility<'a>(&'a self, receipt_handle: &'a str, delay: Duration) -> BackendFuture<'a, ()>;

    /// How many messages the queue contains, by state.
    ///
    /// # Errors
    /// When the queue did not answer.
    fn depth(&self) -> BackendFuture<'_, Depth>;

    /// Shows that the queue answers.
    ///
    /// # Errors
    /// When the queue did not answer.
    fn check(&self) -> BackendFuture<'_, ()>;

    /// Sends a task's message as a part of the current trace, like [`send_traced`](Self::send_traced).
    ///
    /// # Errors
    /// When the message may not have been accepted.
    fn send<'a>(&'a self, message: &'a Message, delay: Duration) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            let trace = Trace::current();
            self.send_traced(message, delay, trace.as_ref()).await
        })
    }

    /// Opens the connection, so that the first real call does not wait for it. An error is only logged: the first real call
    /// reports it.
    fn warm(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.check().await {
                tracing::warn!(event = "connection_not_opened", %error, "the connection to the queue could not be opened in advance");
            }
        })
    }
}

/// The queue of each lane. Lanes may share a queue.
#[derive(Debug, Clone)]
pub struct Queues {
    lanes: HashMap<Lane, Arc<dyn TaskQueue>>,
    first: Arc<dyn TaskQueue>,
}

impl Queues {
    /// The queues that `of_lane` names, and `first` for a lane that it does not name.
    pub fn new(
        first: Arc<dyn TaskQueue>,
        of_lane: impl IntoIterator<Item = (Lane, Arc<dyn TaskQueue>)>,
    ) -> Self {
        Self {
            lanes: of_lane.into_iter().collect(),
            first,
        }
    }

    /// The queue of a lane.
    #[must_use]
    pub fn for_lane(&self, lane: Lane) -> &dyn TaskQueue {
        &**self.lanes.get(&lane).unwrap_or(&self.first)
    }

    /// Each distinct queue, with the first of its lanes.
    pub fn each(&self) -> impl Iterator<Item = (Lane, &dyn TaskQueue)> {
        let mut seen = HashSet::new();
        Lane::all()
            .map(|lane| (lane, self.for_lane(lane)))
            .filter(move |(_, queue)| seen.insert(queue.name()))
    }

    /// Opens the connection to the queues, which are at one host.
    pub async fn warm(&self) {
        self.first.warm().await;
    }

    /// Sends many messages, each to the queue of its lane, and returns the ids of the tasks whose message may not have been
    /// accepted by then.
    pub async fn send_batch(
        &self,
        messages: impl IntoIterator<Item = (Lane, Message)>,
        until: Instant,
    ) -> HashSet<TaskId> {
        let mut lanes: HashMap<_, Vec<_>> = HashMap::new();
        for (lane, message) in messages {
            lanes.entry(lane).or_default().push(message);
        }
        let sends = lanes
            .into_iter()
            .map(|(lane, messages)| self.for_lane(lane).send_many(messages, until));
        let left = join_all(sends).await;
        left.concat().into_iter().map(|message| message.id).collect()
    }
}

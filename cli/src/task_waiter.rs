//! Waits for many tasks at once. The change log tells which of them are final, and only those are requested. One long
//! poll per task would keep as many API functions busy, and would wait for slow tasks while others are ready.
//!
//! The change log is only a hint. A long poll always waits for the oldest open task, so that a change that is missing
//! from the log costs time but loses no task. While the log cannot be followed, all requests are long polls.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mesh_client::{ChangeList, Client, Error, MAX_WAIT, TaskView};
use mesh_task::{Status, TaskId};
use tokio::time::sleep;

use crate::watch;

/// How many requests for tasks run at once.
pub(crate) const MAX_REQUESTS: usize = 8;
/// The pause between two requests for changes, so that one response reports many changes.
const CHANGES_PAUSE: Duration = Duration::from_millis(500);
/// The pause before the log is followed again after an error.
const ERROR_PAUSE: Duration = Duration::from_secs(20);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Tasks that are waited for.
pub(crate) struct TaskWaiter<'a> {
    client: &'a Client,
    timeout: Duration,
    /// `None` for a timeout that no clock can express.
    deadline: Option<Instant>,
    /// The next response of the change log; `None` for a few tasks, which need no log.
    log: Option<Boxed<'a, LogResponse>>,
    /// Whether the last request for changes succeeded.
    is_log_followed: bool,
    /// Tasks that were not final when last seen, the oldest first.
    open: BTreeSet<TaskId>,
    /// Tasks to request: the log says that they are final, or nothing is known of them.
    ready: VecDeque<TaskId>,
    /// Tasks that became final, by the log, before they were added or while they were requested.
    finished_early: HashSet<TaskId>,
    /// Whether more tasks may be added.
    accepts_more: bool,
    requests: FuturesUnordered<Boxed<'a, TaskResponse>>,
    requested: HashSet<TaskId>,
    /// How many of `requests` are long polls.
    long_polls: usize,
}

enum LogResponse {
    /// The current end of the log, from which it is followed. It reports no earlier changes.
    Start(Result<ChangeList, Error>),
    Next(Result<ChangeList, Error>),
}

struct TaskResponse {
    id: TaskId,
    was_long_poll: bool,
    task: Result<TaskView, Error>,
}

impl<'a> TaskWaiter<'a> {
    /// Waits for about that many tasks within the timeout. Start it before you submit the tasks, because it follows the
    /// change log from now on.
    pub(crate) async fn start(client: &'a Client, tasks: usize, timeout: Duration) -> Result<Self, Error> {
        let mut waiter = Self {
            client,
            timeout,
            deadline: Instant::now().checked_add(timeout),
            log: None,
            is_log_followed: false,
            open: BTreeSet::new(),
            ready: VecDeque::new(),
            finished_early: HashSet::new(),
            accepts_more: true,
            requests: FuturesUnordered::new(),
            requested: HashSet::new(),
            long_polls: 0,
        };
        if tasks > MAX_REQUESTS {
            match client.changes(None, Duration::ZERO).await {
                Ok(end) => waiter.follow_log(&end),
                Err(error @ (Error::Setup(_) | Error::Unreachable { .. } | Error::TimedOut { .. })) => {
                    return Err(error);
                }
                // The tasks may be available even so, or give a better reason why not.
                Err(_) => waiter.restart_log(ERROR_PAUSE),
            }
        }
        Ok(waiter)
    }

    /// Adds a task that was submitted after the start and was not final then.
    pub(crate) fn add_open(&mut self, id: TaskId) {
        if self.finished_early.remove(&id) {
            self.ready.push_back(id);
        } else {
            self.open.insert(id);
        }
    }

    /// Adds a task in an unknown state.
    pub(crate) fn add(&mut self, id: TaskId) {
        self.ready.push_back(id);
    }

    /// Declares that all tasks are added. From now on the changes of other tasks are not remembered.
    pub(crate) fn close(&mut self) {
        self.accepts_more = false;
        self.finished_early.retain(|id| self.requested.contains(id));
    }

    /// The next task that is final, or the error for it; `None` if no tasks are left. The future may be dropped at any
    /// time without losing a task.
    pub(crate) async fn next(&mut self) -> Option<(TaskId, Result<TaskView, Error>)> {
        loop {
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
                && let Some(id) = self.open.pop_first()
            {
                return Some((id, Err(self.not_final(id))));
            }
            self.start_requests();
            if self.requests.is_empty() {
                return None;
            }
            let log = async {
                match &mut self.log {
                    Some(log) => log.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(TaskResponse { id, was_long_poll, task }) = self.requests.next() => {
                    self.long_polls -= usize::from(was_long_poll);
                    self.requested.remove(&id);
                    let is_open = match &task {
                        Ok(task) => !task.status.is_final(),
                        Err(error) => matches!(error, Error::NotFinal { .. }),
                    };
                    if !is_open {
                        self.finished_early.remove(&id);
                        return Some((id, task));
                    }
                    self.add_open(id);
                }
                response = log => self.apply(response),
            }
        }
    }

    fn not_final(&self, id: TaskId) -> Error {
        let seconds = self.timeout.as_secs();
        Error::NotFinal { id, seconds }
    }

    /// Starts as many requests as may run at once.
    fn start_requests(&mut self) {
        // While the log is followed, the other requests stay free for tasks that become ready.
        let max_long_polls = if self.is_log_followed { 1 } else { MAX_REQUESTS };
        let client = self.client;
        while self.requests.len() < MAX_REQUESTS {
            if let Some(id) = self.ready.pop_front() {
                self.requested.insert(id);
                self.requests.push(Box::pin(async move {
                    let task = client.get(id).await;
                    TaskResponse {
                        id,
                        was_long_poll: false,
                        task,
                    }
                }));
            } else if self.long_polls < max_long_polls
                && let Some(id) = self.open.pop_first()
            {
                let left = self.deadline.map_or(self.timeout, |deadline| {
                    deadline.saturating_duration_since(Instant::now())
                });
                self.requested.insert(id);
                self.long_polls += 1;
                self.requests.push(Box::pin(async move {
                    // After one long poll, the oldest open task may be another one.
                    let task = client.wait(id, left.min(MAX_WAIT)).await;
                    TaskResponse {
                        id,
                        was_long_poll: true,
                        task,
                    }
                }));
            } else {
                return;
            }
        }
    }

    fn follow_log(&mut self, last: &ChangeList) {
        let (client, after) = (self.client, last.next.clone());
        let pause = if last.changes.len() < watch::FULL_PAGE {
            CHANGES_PAUSE
        } else {
            Duration::ZERO
        };
        self.is_log_followed = true;
        self.log = Some(Box::pin(async move {
            sleep(pause).await;
            LogResponse::Next(client.changes(Some(&after), MAX_WAIT).await)
        }));
    }

    /// Waits, then follows the log from its current end.
    fn restart_log(&mut self, pause: Duration) {
        let client = self.client;
        self.is_log_followed = false;
        self.log = Some(Box::pin(async move {
            sleep(pause).await;
            LogResponse::Start(client.changes(None, Duration::ZERO).await)
        }));
    }

    fn apply(&mut self, response: LogResponse) {
        match response {
            LogResponse::Next(Ok(changes)) => {
                for change in &changes.changes {
                    let is_final = change.status.status().is_none_or(Status::is_final);
                    if is_final && self.open.remove(&change.id) {
                        self.ready.push_back(change.id);
                    } else if is_final && (self.accepts_more || self.requested.contains(&change.id)) {
                        self.finished_early.insert(change.id);
                    }
                }
                self.follow_log(&changes);
            }
            // Changes before the new start are missing, so every open task is requested.
            LogResponse::Start(Ok(end)) => {
                self.ready.extend(std::mem::take(&mut self.open));
                self.follow_log(&end);
            }
            LogResponse::Next(Err(error)) if watch::are_changes_gone(&error) => {
                self.restart_log(Duration::ZERO);
            }
            // Until the log is followed again, long polls wait for the tasks. They report an error if the tasks are not available either.
            LogResponse::Next(Err(_)) | LogResponse::Start(Err(_)) => self.restart_log(ERROR_PAUSE),
        }
    }
}

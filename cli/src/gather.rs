//! Many tasks waited for at once. The change log tells which of them are final, and those alone are asked for: a
//! request held for each would keep as many of the API's functions busy, and wait for slow tasks while others are ready.
//!
//! The log is a hint. The oldest task that is open is waited for by itself as soon as a request is free, so that what the
//! log does not tell costs time and no task. While it can't be followed, as many are waited for as there are requests.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mesh_client::{Changes, Client, Error, Task};
use mesh_task::{Status, TaskId};
use tokio::time::sleep;

use crate::watch;

/// How many requests are under way at once.
pub(crate) const REQUESTS: usize = 8;
/// What a request is held for: then the place is free for what has become ready, and the log is asked again.
const WAIT: Duration = Duration::from_secs(20);
/// So long changes gather before they are asked for: each answer tells of many then.
const PAUSE: Duration = Duration::from_millis(500);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Tasks on their way to their end.
pub(crate) struct Gather<'a> {
    client: &'a Client,
    patience: Duration,
    /// None where it lies beyond all clocks.
    until: Option<Instant>,
    /// The next answer of the log; none for a few tasks.
    log: Option<Boxed<'a, Seen>>,
    /// Whether the last was one.
    is_followed: bool,
    /// Not final when they were last heard of, the oldest first.
    open: BTreeSet<TaskId>,
    /// To be asked for: final by the log, or nothing is known of them.
    ready: VecDeque<TaskId>,
    /// Final by the log before they were added, or while they were asked for.
    early: HashSet<TaskId>,
    /// Whether more may be added.
    is_growing: bool,
    requests: FuturesUnordered<Boxed<'a, Asked>>,
    /// What these ask for.
    asked: HashSet<TaskId>,
    /// How many requests are held until their task is final.
    held: usize,
}

enum Seen {
    /// The log is followed from that cursor on: what happened before is not told.
    Begun(Result<Changes, Error>),
    Told(Result<Changes, Error>),
}

struct Asked {
    id: TaskId,
    was_held: bool,
    task: Result<Task, Error>,
}

impl<'a> Gather<'a> {
    /// Waits for about so many tasks, for so long. To be begun before they are submitted: the log is followed from
    /// now on.
    pub(crate) async fn begin(client: &'a Client, tasks: usize, patience: Duration) -> Result<Self, Error> {
        let mut gather = Self {
            client,
            patience,
            until: Instant::now().checked_add(patience),
            log: None,
            is_followed: false,
            open: BTreeSet::new(),
            ready: VecDeque::new(),
            early: HashSet::new(),
            is_growing: true,
            requests: FuturesUnordered::new(),
            asked: HashSet::new(),
            held: 0,
        };
        if tasks > REQUESTS {
            match client.changes(None, Duration::ZERO).await {
                Ok(present) => gather.follow(&present),
                Err(error @ (Error::Setup(_) | Error::Unreachable { .. } | Error::TimedOut { .. })) => {
                    return Err(error);
                }
                // The tasks themselves may be had, or say better why not.
                Err(_) => gather.begin_again(WAIT),
            }
        }
        Ok(gather)
    }

    /// A task that was submitted since, and was not final then.
    pub(crate) fn add_open(&mut self, id: TaskId) {
        if self.early.remove(&id) {
            self.ready.push_back(id);
        } else {
            self.open.insert(id);
        }
    }

    /// A task of which nothing else is known.
    pub(crate) fn add(&mut self, id: TaskId) {
        self.ready.push_back(id);
    }

    /// Says that no more are added: what others' tasks come to is forgotten from here on.
    pub(crate) fn all_are_added(&mut self) {
        self.is_growing = false;
        self.early.retain(|id| self.asked.contains(id));
    }

    /// The next task that is final, or why it is not had; none if there are no more. Dropped half-way, it loses
    /// nothing.
    pub(crate) async fn next(&mut self) -> Option<(TaskId, Result<Task, Error>)> {
        loop {
            if self.until.is_some_and(|until| Instant::now() >= until)
                && let Some(id) = self.open.pop_first()
            {
                return Some((id, Err(self.not_final(id))));
            }
            self.ask();
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
                Some(Asked { id, was_held, task }) = self.requests.next() => {
                    self.held -= usize::from(was_held);
                    self.asked.remove(&id);
                    let is_open = match &task {
                        Ok(task) => !task.status.is_final(),
                        Err(error) => matches!(error, Error::NotFinal { .. }),
                    };
                    if !is_open {
                        self.early.remove(&id);
                        return Some((id, task));
                    }
                    self.add_open(id);
                }
                seen = log => self.learn(seen),
            }
        }
    }

    fn not_final(&self, id: TaskId) -> Error {
        let seconds = self.patience.as_secs();
        Error::NotFinal { id, seconds }
    }

    /// Keeps as many requests under way as there may be.
    fn ask(&mut self) {
        // The others are left for what the log says is final.
        let most_held = if self.is_followed { 1 } else { REQUESTS };
        let client = self.client;
        while self.requests.len() < REQUESTS {
            if let Some(id) = self.ready.pop_front() {
                self.asked.insert(id);
                self.requests.push(Box::pin(async move {
                    let task = client.get(id).await;
                    Asked {
                        id,
                        was_held: false,
                        task,
                    }
                }));
            } else if self.held < most_held
                && let Some(id) = self.open.pop_first()
            {
                let left = self.until.map_or(self.patience, |until| {
                    until.saturating_duration_since(Instant::now())
                });
                self.asked.insert(id);
                self.held += 1;
                self.requests.push(Box::pin(async move {
                    let task = client.wait(id, left.min(WAIT)).await;
                    Asked {
                        id,
                        was_held: true,
                        task,
                    }
                }));
            } else {
                return;
            }
        }
    }

    fn follow(&mut self, last: &Changes) {
        let (client, after) = (self.client, last.next.clone());
        let pause = if last.changes.len() < watch::FULL {
            PAUSE
        } else {
            Duration::ZERO
        };
        self.is_followed = true;
        self.log = Some(Box::pin(async move {
            sleep(pause).await;
            Seen::Told(client.changes(Some(&after), WAIT).await)
        }));
    }

    /// Follows from the then present on.
    fn begin_again(&mut self, pause: Duration) {
        let client = self.client;
        self.is_followed = false;
        self.log = Some(Box::pin(async move {
            sleep(pause).await;
            Seen::Begun(client.changes(None, Duration::ZERO).await)
        }));
    }

    fn learn(&mut self, seen: Seen) {
        match seen {
            Seen::Told(Ok(changes)) => {
                for change in &changes.changes {
                    let is_final = Status::named(&change.status).is_none_or(Status::is_final);
                    if is_final && self.open.remove(&change.id) {
                        self.ready.push_back(change.id);
                    } else if is_final && (self.is_growing || self.asked.contains(&change.id)) {
                        self.early.insert(change.id);
                    }
                }
                self.follow(&changes);
            }
            Seen::Begun(Ok(present)) => {
                self.ready.extend(std::mem::take(&mut self.open));
                self.follow(&present);
            }
            Seen::Told(Err(error)) if watch::are_gone(&error) => self.begin_again(Duration::ZERO),
            // The tasks are waited for by themselves meanwhile, and say what is wrong if they can't be had either.
            Seen::Told(Err(_)) | Seen::Begun(Err(_)) => self.begin_again(WAIT),
        }
    }
}

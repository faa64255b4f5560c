//! Counting anew while tasks flow.
//!
//! A scan reads each task at a moment of its own, and the stream tells of a change some time after it happened. So a scan
//! alone is no count at any one time. The change log makes it one: it says where a task stood before and after each
//! change that the counters hold. What the scan found of a task that the log speaks of is put aside, and the log's last
//! word on it taken. The sum is what the counters should say at the log's end, and from there on they are kept by the
//! reactor as ever.
//!
//! What happened before the scan read a task, and is not yet in the log when that ends, would be counted twice. Hence the
//! wait until the log has caught up with what the scan [has seen](Recount::unseen).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use mesh_task::{Status, TaskId};

use crate::{Change, Counts, Snapshot};

/// How far before the scan the log must be read: what happened earlier is taken to be in the counters already.
pub const RECENT: Duration = Duration::from_mins(10);
/// How far two machines' clocks are apart at most.
const CLOCKS: Duration = Duration::from_mins(1);
/// What may be removed while the scan runs is remembered by its id.
const SCAN: Duration = Duration::from_mins(30);

/// One tenant's tasks, as a scan finds them.
#[derive(Debug, Clone)]
pub struct Recount {
    began_at: Timestamp,
    counts: Counts,
    tasks: u64,
    /// Those that the log may speak of, or whose removal it may miss.
    tracked: HashMap<TaskId, Snapshot>,
}

impl Recount {
    /// A count that begins now.
    #[must_use]
    pub fn new(began_at: Timestamp) -> Self {
        Self {
            began_at,
            counts: Counts::default(),
            tasks: 0,
            tracked: HashMap::new(),
        }
    }

    /// Counts a task that the scan has read.
    pub fn count(&mut self, task: Snapshot) {
        self.tasks += 1;
        self.counts.add(task.task_type, task.status, 1);
        let is_recent = task.updated_at >= self.began_at - RECENT;
        let is_expiring = task
            .expires_at
            .is_some_and(|at| at <= (self.began_at + SCAN).as_second());
        if is_recent || is_expiring {
            self.tracked.insert(task.id, task);
        }
    }

    /// How many tasks the scan has read.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.tasks
    }

    /// How many tasks the scan has seen in a state that the log doesn't tell of yet: the stream has not come so far, or the
    /// record was lost.
    #[must_use]
    pub fn unseen(&self, log: &[Change]) -> usize {
        let last = last_words(log);
        let is_recent = |task: &&Snapshot| task.updated_at >= self.began_at - RECENT;
        let is_unseen = |task: &&Snapshot| last.get(&task.id).is_none_or(|change| change.age() < task.age());
        self.tracked.values().filter(is_recent).filter(is_unseen).count()
    }

    /// What the counters should say at the end of this log, which reaches back to [`RECENT`] before the scan began.
    #[must_use]
    pub fn counts(&self, log: &[Change]) -> Counts {
        let mut counts = self.counts.clone();
        let last = last_words(log);
        let removed: HashSet<TaskId> = log
            .iter()
            .filter(|change| change.status.is_none())
            .map(|change| change.id)
            .collect();
        let mut handled = HashSet::new();
        for first in log {
            if !handled.insert(first.id) {
                continue;
            }
            let scanned = self.tracked.get(&first.id);
            let Some(last) = last.get(&first.id) else { continue };
            // Its last change was lost, and what the scan has seen is the truth.
            if scanned.is_some_and(|task| last.age() < task.age() && last.status.is_some()) {
                continue;
            }
            // It stood so before the scan began, which did not find it: the record of its removal was lost.
            if scanned.is_none() && last.status.is_some() && last.updated_at < self.began_at - CLOCKS {
                continue;
            }
            let was = match scanned {
                Some(task) => Some(task.status),
                // New since then, or removed before the scan came to it.
                None if first.from.is_none() || removed.contains(&first.id) => None,
                // The scan has read it before it changed.
                None => first.from,
            };
            let change = |counts: &mut Counts, status: Option<Status>, by| {
                if let Some(status) = status {
                    counts.add(first.task_type, status, by);
                }
            };
            change(&mut counts, was, -1);
            change(&mut counts, last.status, 1);
        }
        counts
    }
}

/// The last change of each task.
fn last_words(log: &[Change]) -> HashMap<TaskId, &Change> {
    log.iter().map(|change| (change.id, change)).collect()
}

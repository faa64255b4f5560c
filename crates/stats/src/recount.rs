//! Counts the tasks again while they change.
//!
//! A scan reads each task at a different time, and the stream reports a change some time after it happened. So a scan alone does
//! not count the tasks of any one time. The change log corrects it: it contains the status before and after each change that the
//! counters include. For a task in the log, the log's last status replaces the one that the scan read. The sum is what the
//! counters should be at the end of the log, and the reactor continues from there.
//!
//! A change that the scan has seen but the log does not contain yet would be counted twice. So the rebuild waits until the log
//! contains everything that the scan [has seen](Recount::unseen).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use mesh_task::{Status, TaskId};

use crate::{Change, Counts, Snapshot};

/// How far before the scan the log must begin. Earlier changes are assumed to be counted already.
pub const RECENT: Duration = Duration::from_mins(10);
/// The highest difference between two machines' clocks.
const CLOCK_DIFFERENCE: Duration = Duration::from_mins(1);
/// The longest scan. A task that may expire meanwhile is tracked by its id.
const MAX_SCAN: Duration = Duration::from_mins(30);

/// The tasks of one tenant, as a scan reads them.
#[derive(Debug, Clone)]
pub struct Recount {
    began_at: Timestamp,
    counts: Counts,
    tasks: u64,
    /// The tasks that the log may contain, or whose deletion it may miss.
    tracked: HashMap<TaskId, Snapshot>,
}

impl Recount {
    /// A count that begins at this time.
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
            .is_some_and(|at| at <= (self.began_at + MAX_SCAN).as_second());
        if is_recent || is_expiring {
            self.tracked.insert(task.id, task);
        }
    }

    /// The number of tasks that the scan has read.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.tasks
    }

    /// The number of tasks that the scan has seen in a state that the log does not contain: the stream has not reported it yet,
    /// or the record was lost.
    #[must_use]
    pub fn unseen(&self, log: &[Change]) -> usize {
        let last = last_changes(log);
        let is_recent = |task: &&Snapshot| task.updated_at >= self.began_at - RECENT;
        let is_unseen = |task: &&Snapshot| last.get(&task.id).is_none_or(|change| change.age() < task.age());
        self.tracked.values().filter(is_recent).filter(is_unseen).count()
    }

    /// What the counters should be at the end of this log, which begins [`RECENT`] before the scan.
    #[must_use]
    pub fn counts(&self, log: &[Change]) -> Counts {
        let mut counts = self.counts.clone();
        let last = last_changes(log);
        let deleted: HashSet<TaskId> = log
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
            // The record of its last change was lost. What the scan has seen is right.
            if scanned.is_some_and(|task| last.age() < task.age() && last.status.is_some()) {
                continue;
            }
            // It changed last before the scan began, but the scan did not find it: the record of its deletion was lost.
            if scanned.is_none()
                && last.status.is_some()
                && last.updated_at < self.began_at - CLOCK_DIFFERENCE
            {
                continue;
            }
            let was = match scanned {
                Some(task) => Some(task.status),
                // It is new, or was deleted before the scan reached it.
                None if first.from.is_none() || deleted.contains(&first.id) => None,
                // The scan read it before it changed.
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

/// The last change of each task in the log.
fn last_changes(log: &[Change]) -> HashMap<TaskId, &Change> {
    log.iter().map(|change| (change.id, change)).collect()
}

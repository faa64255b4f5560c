//! What is stored about a tenant's tasks.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Change, Counts, Minutes, Record, Sequence};

/// A tenant's counters, and the newest part of its change log.
///
/// They are written as a whole, on condition that the version is the one that was read. They contain the changes of the last
/// write. The next write first copies these changes to the change log. So no change is lost between two writes, and the log
/// contains no change that was not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantCounters {
    /// Rises by 1 with every write; 0 before the first.
    pub version: u64,
    /// The number of the newest change. A tenant's changes are numbered from 1 without a gap.
    pub last: u64,
    pub counts: Counts,
    /// What was submitted and finished in the last minutes.
    pub minutes: Minutes,
    /// The changes of the last write.
    pub latest: Logged,
    /// The highest sequence number that was counted, by shard of the tasks.
    #[serde(rename = "marks")]
    high_water_marks: BTreeMap<String, Sequence>,
}

/// Changes that were written together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// When they were written, by the writer's clock, in milliseconds since the epoch.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
    /// The changes in the order of their numbers.
    pub changes: Vec<Change>,
}

impl TenantCounters {
    /// The records that may have been counted before: those at or below the high-water mark of their shard. The caller searches
    /// the change log for them before it folds them in.
    pub fn possible_repeats<'a>(&self, records: &'a [Record]) -> impl Iterator<Item = &'a Record> {
        records.iter().filter(|record| {
            let task = record.new.as_ref().or(record.old.as_ref());
            let mark = task.and_then(|task| self.high_water_marks.get(&task.id.shard().to_string()));
            mark.is_some_and(|mark| record.sequence <= *mark) && record.change().is_some()
        })
    }

    /// The counters with these records, except for those that were `counted` before; `None` if nothing changes.
    #[must_use]
    pub fn fold(&self, records: &[Record], counted: &HashSet<Sequence>, now: Timestamp) -> Option<Self> {
        let mut next = Self {
            version: self.version + 1,
            latest: Logged {
                at: now,
                changes: Vec::new(),
            },
            ..self.clone()
        };
        for record in records {
            let Some(change) = record.change() else { continue };
            if counted.contains(&change.sequence) {
                continue;
            }
            if let Some(from) = change.from {
                next.counts.add(change.task_type, from, -1);
            }
            if let Some(to) = change.status {
                next.counts.add(change.task_type, to, 1);
            }
            next.minutes.record(record, now);
            let mark = next
                .high_water_marks
                .entry(change.id.shard().to_string())
                .or_insert_with(|| change.sequence.clone());
            if *mark < change.sequence {
                *mark = change.sequence.clone();
            }
            next.last += 1;
            next.latest.changes.push(change);
        }
        (!next.latest.changes.is_empty()).then_some(next)
    }

    /// The counters with other counts.
    #[must_use]
    pub fn recounted(&self, counts: Counts) -> Self {
        Self {
            version: self.version + 1,
            counts,
            ..self.clone()
        }
    }

    /// The number of the last change before those of the last write.
    #[must_use]
    pub fn before_latest(&self) -> u64 {
        self.last - self.latest.changes.len() as u64
    }
}

//! What is kept of a tenant's tasks.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Change, Counts, Minutes, Record, Sequence};

/// A tenant's counters, and the newest part of its change log.
///
/// A book is written whole, under the condition that its version is still the one that was read. The changes of the last
/// write are in it until the next one, which first puts them where the log is kept: so no change is lost between two
/// writes, and none is in the log that the counters don't hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantCounters {
    /// Rises with every write; 0 before the first.
    pub version: u64,
    /// The number of the newest change. A tenant's changes are numbered without a gap, from 1.
    pub last: u64,
    /// Tasks by type and status.
    pub counts: Counts,
    /// What came and went in the last minutes.
    pub minutes: Minutes,
    /// The newest changes.
    pub latest: Logged,
    /// The highest sequence number that was counted of each sixteenth of the tasks.
    #[serde(rename = "marks")]
    high_water_marks: BTreeMap<String, Sequence>,
}

/// Changes that were written together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// When, by the writer's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
    /// In order.
    pub changes: Vec<Change>,
}

impl TenantCounters {
    /// Those of the records that may have been counted before. Whoever folds these in must know which of them the change log
    /// holds.
    pub fn possible_duplicates<'a>(&self, records: &'a [Record]) -> impl Iterator<Item = &'a Record> {
        records.iter().filter(|record| {
            let task = record.new.as_ref().or(record.old.as_ref());
            let mark = task.and_then(|task| self.high_water_marks.get(&task.id.shard().to_string()));
            mark.is_some_and(|mark| record.sequence <= *mark) && record.change().is_some()
        })
    }

    /// The book with these records in it but for those that were `counted` before; none if that changes nothing.
    #[must_use]
    pub fn fold(&self, records: &[Record], counted: &HashSet<Sequence>, now: Timestamp) -> Option<Self> {
        let mut book = Self {
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
                book.counts.add(change.task_type, from, -1);
            }
            if let Some(to) = change.status {
                book.counts.add(change.task_type, to, 1);
            }
            book.minutes.note(record, now);
            let mark = book
                .high_water_marks
                .entry(change.id.shard().to_string())
                .or_insert_with(|| change.sequence.clone());
            if *mark < change.sequence {
                *mark = change.sequence.clone();
            }
            book.last += 1;
            book.latest.changes.push(change);
        }
        (!book.latest.changes.is_empty()).then_some(book)
    }

    /// The book with these counts in place of its own.
    #[must_use]
    pub fn recounted(&self, counts: Counts) -> Self {
        Self {
            version: self.version + 1,
            counts,
            ..self.clone()
        }
    }

    /// The number of the change before the newest ones: what they follow.
    #[must_use]
    pub fn before_latest(&self) -> u64 {
        self.last - self.latest.changes.len() as u64
    }
}

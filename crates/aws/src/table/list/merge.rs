//! Merges a tenant's shards, each ordered newest first, into one list.
//!
//! The merge reads each shard only as far as the page needs. A later request that continues below the last returned id misses
//! no task and gets none twice, whatever was added meanwhile: new tasks have higher ids.

use std::collections::VecDeque;

use futures_util::future::try_join_all;
use mesh_task::{IdRange, Shard, TaskId, TaskSummary};
use tokio::time::{Instant, timeout_at};

/// An entry of the list, ordered by its task's id.
pub(super) trait Listed {
    fn id(&self) -> TaskId;
}

impl Listed for TaskId {
    fn id(&self) -> TaskId {
        *self
    }
}

impl Listed for TaskSummary {
    fn id(&self) -> TaskId {
        self.id
    }
}

/// A list that can be read shard by shard.
pub(super) trait ShardSource: Sync {
    type Entry: Listed + Send;
    type Error: Send;

    /// The newest entries of a shard in this range, up to `limit`.
    fn read(
        &self,
        shard: Shard,
        range: IdRange,
        limit: usize,
    ) -> impl Future<Output = Result<Chunk<Self::Entry>, Self::Error>> + Send;
}

/// Part of a shard, newest first.
pub(super) struct Chunk<T> {
    pub(super) entries: Vec<T>,
    /// The last id that was read, if the shard may contain more below it. Its entry is missing if it could not be parsed.
    pub(super) last: Option<TaskId>,
}

/// How much a merge may read. Each shard is read once in any case, so that a list that continues makes progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadLimits {
    pub(super) entries: usize,
    /// When reading ends.
    pub(super) until: Instant,
}

/// The next step of the merge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    Entry(T),
    /// No shard contains more.
    End,
    /// There may be more, but a read limit is reached. All entries above this id were returned, if one is known.
    LimitReached(Option<TaskId>),
}

#[derive(Debug)]
pub(super) struct Merge<S: ShardSource> {
    source: S,
    shards: Vec<ShardReader<S::Entry>>,
    /// What may still be read.
    limits: ReadLimits,
    /// Whether each shard was read once.
    is_begun: bool,
}

#[derive(Debug)]
struct ShardReader<T> {
    /// Entries that were read and not yet returned.
    read: VecDeque<T>,
    /// The range that is still to be read; `None` at the shard's end.
    rest: Option<IdRange>,
    /// The last id that was read, returned or not.
    last: Option<TaskId>,
    /// How many entries to read next. It doubles, so that a selective filter needs few large reads.
    chunk: usize,
}

/// The maximum of entries in one read of a shard.
const MAX_CHUNK: usize = 64;

impl<S: ShardSource> Merge<S> {
    /// A merge over this range, of which about `wanted` entries will be taken.
    pub(super) fn new(source: S, range: IdRange, wanted: usize, limits: ReadLimits) -> Self {
        let shard = || ShardReader {
            read: VecDeque::new(),
            rest: Some(range).filter(|range| !range.is_empty()),
            last: None,
            // Ids are spread over the shards at random: reading a few more than the average saves most second reads.
            chunk: wanted / Shard::COUNT + 3,
        };
        Self {
            source,
            shards: Shard::all().map(|_| shard()).collect(),
            limits,
            is_begun: false,
        }
    }

    /// Whether it is known that no entry follows.
    pub(super) fn is_over(&self) -> bool {
        let over = |shard: &ShardReader<S::Entry>| shard.read.is_empty() && shard.rest.is_none();
        self.shards.iter().all(over)
    }

    /// The newest entry that was not yet returned.
    pub(super) async fn next(&mut self) -> Result<Next<S::Entry>, S::Error> {
        loop {
            let empty = self.shards.iter().filter(|shard| shard.needs_read()).count();
            if empty == 0 {
                break;
            }
            let share = self.limits.entries / empty;
            if share == 0 || self.is_begun && Instant::now() >= self.limits.until {
                return Ok(self.limit_reached());
            }
            let source = &self.source;
            let mut reads = Vec::new();
            for (shard, number) in self.shards.iter_mut().zip(Shard::all()) {
                if let Some(range) = shard.rest.filter(|_| shard.read.is_empty()) {
                    let limit = shard.chunk.min(share);
                    reads.push(async move { Ok((shard, limit, source.read(number, range, limit).await?)) });
                }
            }
            let reads = try_join_all(reads);
            let chunks = if self.is_begun {
                match timeout_at(self.limits.until, reads).await {
                    Ok(chunks) => chunks?,
                    Err(_) => return Ok(self.limit_reached()),
                }
            } else {
                reads.await?
            };
            for (shard, limit, chunk) in chunks {
                let read = chunk.last.map_or(chunk.entries.len(), |_| limit);
                self.limits.entries = self.limits.entries.saturating_sub(read);
                shard.take(chunk);
            }
            self.is_begun = true;
        }
        let newest = self
            .shards
            .iter_mut()
            .max_by_key(|shard| shard.read.front().map(Listed::id));
        let newest = newest.and_then(|shard| shard.read.pop_front());
        Ok(newest.map_or(Next::End, Next::Entry))
    }
}

impl<S: ShardSource> Merge<S> {
    /// The next step once a read limit is reached: the newest entry that was read, as long as no unread entry can be newer;
    /// after that, how far the list is complete.
    fn limit_reached(&mut self) -> Next<S::Entry> {
        let empty = self.shards.iter().filter(|shard| shard.needs_read());
        let reached: Option<Vec<_>> = empty.map(|shard| shard.last).collect();
        let reached = reached.and_then(|lasts| lasts.into_iter().max());
        let above = |shard: &ShardReader<S::Entry>| {
            shard
                .read
                .front()
                .map(Listed::id)
                .filter(|id| Some(*id) > reached)
        };
        let newest = self.shards.iter_mut().max_by_key(|shard| above(shard));
        let newest = newest.filter(|shard| reached.is_some() && above(shard).is_some());
        match newest.and_then(|shard| shard.read.pop_front()) {
            Some(entry) => Next::Entry(entry),
            None => Next::LimitReached(reached),
        }
    }
}

impl<T: Listed> ShardReader<T> {
    /// Whether its newest entry is unknown, and must be read.
    fn needs_read(&self) -> bool {
        self.read.is_empty() && self.rest.is_some()
    }

    fn take(&mut self, chunk: Chunk<T>) {
        self.rest = self.rest.zip(chunk.last).map(|(range, last)| range.below(last));
        self.last = chunk.last;
        self.read = chunk.entries.into();
        self.chunk = (self.chunk * 2).min(MAX_CHUNK);
    }
}

#[cfg(test)]
mod tests;

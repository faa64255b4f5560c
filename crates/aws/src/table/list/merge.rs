//! Merges a tenant's shards, each ordered newest first, into one list.
//!
//! The merge reads each shard only as far as the page needs. A later request that continues below the last returned id misses
//! no task and gets none twice, whatever was added meanwhile: new tasks have higher ids.

use std::collections::VecDeque;

use futures_util::future::try_join_all;
use mesh_task::{IdRange, Shard, TaskId, TaskSummary};

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

/// The next step of the merge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    Entry(T),
    /// No shard contains more.
    End,
    /// There may be more, but the read limit is reached. All entries above this id were returned, if one is known.
    LimitReached(Option<TaskId>),
}

#[derive(Debug)]
pub(super) struct Merge<S: ShardSource> {
    source: S,
    shards: Vec<ShardReader<S::Entry>>,
    /// How many entries may still be read.
    budget: usize,
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
    /// A merge over this range, of which about `wanted` entries will be taken and `budget` may be read.
    pub(super) fn new(source: S, range: IdRange, wanted: usize, budget: usize) -> Self {
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
            budget,
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
            let share = self.budget / empty;
            if share == 0 {
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
            for (shard, limit, chunk) in try_join_all(reads).await? {
                let read = chunk.last.map_or(chunk.entries.len(), |_| limit);
                self.budget = self.budget.saturating_sub(read);
                shard.take(chunk);
            }
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
    /// The next step once the read limit is reached: the newest entry that was read, as long as no unread entry can be newer;
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
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Tasks in their shards, with counts of the reads and of the entries that these returned.
    #[derive(Default)]
    struct Table {
        ids: Mutex<BTreeSet<TaskId>>,
        unparsable: BTreeSet<TaskId>,
        calls: AtomicUsize,
        entries: AtomicUsize,
    }

    impl ShardSource for &Table {
        type Entry = TaskId;
        type Error = Infallible;

        async fn read(
            &self,
            shard: Shard,
            range: IdRange,
            limit: usize,
        ) -> Result<Chunk<TaskId>, Infallible> {
            let ids = self.newest_first().into_iter();
            let mut entries: Vec<_> = ids
                .filter(|id| id.shard() == shard && range.contains(*id))
                .collect();
            let last = entries.get(limit).and(entries.get(limit - 1)).copied();
            entries.truncate(limit);
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.entries.fetch_add(entries.len(), Ordering::Relaxed);
            entries.retain(|id| !self.unparsable.contains(id));
            Ok(Chunk { entries, last })
        }
    }

    impl Table {
        fn with(ids: usize) -> Self {
            let table = Self::default();
            table.add(ids);
            table
        }

        fn add(&self, ids: usize) {
            let new = (0..ids).map(|_| TaskId::generate());
            self.ids.lock().unwrap().extend(new);
        }

        fn newest_first(&self) -> Vec<TaskId> {
            self.ids.lock().unwrap().iter().rev().copied().collect()
        }

        fn reads(&self) -> (usize, usize) {
            (
                self.calls.swap(0, Ordering::Relaxed),
                self.entries.swap(0, Ordering::Relaxed),
            )
        }

        /// A page, and whether it ended because it is full or at the end.
        async fn page(&self, range: IdRange, limit: usize, budget: usize) -> (Vec<TaskId>, bool) {
            let mut merge = Merge::new(self, range, limit, budget);
            let mut page = Vec::new();
            while page.len() < limit {
                match merge.next().await {
                    Ok(Next::Entry(id)) => page.push(id),
                    Ok(Next::LimitReached(_)) => return (page, false),
                    Ok(Next::End) => break,
                }
            }
            (page, true)
        }
    }

    #[tokio::test]
    async fn pages_contain_each_task_once_and_in_order_while_tasks_are_added() {
        for limit in [1, 7, 50, 200] {
            let table = Table::with(400);
            let before = table.newest_first();
            let (mut found, mut range) = (Vec::new(), IdRange::ALL);
            loop {
                let (page, _) = table.page(range, limit, 1_000).await;
                let Some(last) = page.last() else { break };
                range = IdRange::ALL.below(*last);
                found.extend(page);
                table.add(5);
            }
            assert_eq!(found, before, "{limit}");
        }
    }

    #[tokio::test]
    async fn the_reads_of_a_page_do_not_grow_with_the_table() {
        let mut read = Vec::new();
        for ids in [200, 20_000] {
            let table = Table::with(ids);
            let (page, _) = table.page(IdRange::ALL, 10, 1_000).await;
            assert_eq!(page, table.newest_first()[..10]);
            let (calls, entries) = table.reads();
            assert!(calls < 24, "{calls} calls");
            read.push(entries);
        }
        assert!(read.iter().all(|read| *read < 80), "{read:?}");
    }

    #[tokio::test]
    async fn no_page_exceeds_its_read_limit_and_each_makes_progress() {
        let table = Table::with(500);
        let (mut found, mut range) = (Vec::new(), IdRange::ALL);
        loop {
            let (page, _) = table.page(range, 200, 100).await;
            assert!(table.reads().1 <= 100);
            let Some(last) = page.last() else { break };
            range = IdRange::ALL.below(*last);
            found.extend(page);
        }
        assert_eq!(found, table.newest_first());
        let (nothing, ended) = table.page(IdRange::ALL, 200, 15).await;
        assert_eq!((nothing.len(), ended), (0, false), "not one of each shard");
    }

    #[tokio::test]
    async fn unparsable_items_do_not_hide_the_tasks_below() {
        let mut table = Table::with(400);
        let (newer, older) = {
            let ids = table.newest_first();
            (ids[..300].to_vec(), ids[300..].to_vec())
        };
        table.unparsable = newer.into_iter().collect();
        assert_eq!(table.page(IdRange::ALL, 100, 1_000).await, (older.clone(), true));
        // Even if all entries that may be read are unparsable, a request that continues from there makes progress.
        let (mut found, mut range) = (Vec::new(), IdRange::ALL);
        for _ in 0..100 {
            let mut merge = Merge::new(&table, range, 100, 100);
            let reached = loop {
                match merge.next().await.unwrap() {
                    Next::Entry(id) => found.push(id),
                    Next::LimitReached(reached) => break reached,
                    Next::End => break None,
                }
            };
            let Some(reached) = reached else { break };
            range = IdRange::ALL.below(reached);
        }
        assert_eq!(found, older);
    }

    #[tokio::test]
    async fn an_empty_range_reads_nothing() {
        let table = Table::with(20);
        let now = jiff::Timestamp::now();
        let nothing = IdRange::ALL.since(now).before(now);
        assert_eq!(table.page(nothing, 10, 1_000).await, (Vec::new(), true));
        assert_eq!(table.reads(), (0, 0));
    }
}

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// A limit of entries. The time is not limited.
fn up_to(entries: usize) -> ReadLimits {
    ReadLimits {
        entries,
        until: Instant::now() + Duration::from_hours(1),
    }
}

/// A limit of time, which is over already.
fn out_of_time() -> ReadLimits {
    ReadLimits {
        until: Instant::now(),
        ..up_to(1_000)
    }
}

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

    async fn read(&self, shard: Shard, range: IdRange, limit: usize) -> Result<Chunk<TaskId>, Infallible> {
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
    async fn page(&self, range: IdRange, limit: usize, entries: usize) -> (Vec<TaskId>, bool) {
        let mut merge = Merge::new(self, range, limit, up_to(entries));
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
        let merge = Merge::new(&table, range, 100, up_to(100));
        let Some(reached) = take_all(merge, &mut found).await else {
            break;
        };
        range = IdRange::ALL.below(reached);
    }
    assert_eq!(found, older);
}

/// Adds all entries of a merge, and returns the id that it reached unless that is the end.
async fn take_all<S: ShardSource<Entry = TaskId, Error = Infallible>>(
    mut merge: Merge<S>,
    found: &mut Vec<TaskId>,
) -> Option<TaskId> {
    loop {
        match merge.next().await.unwrap() {
            Next::Entry(id) => found.push(id),
            Next::LimitReached(reached) => return Some(reached.expect("each shard was read")),
            Next::End => return None,
        }
    }
}

#[tokio::test]
async fn a_page_that_is_out_of_time_reads_each_shard_once_and_its_entries_are_complete() {
    let table = Table::with(500);
    let (mut found, mut range) = (Vec::new(), IdRange::ALL);
    loop {
        let merge = Merge::new(&table, range, 10, out_of_time());
        let reached = take_all(merge, &mut found).await;
        assert_eq!(table.reads().0, Shard::COUNT);
        let Some(reached) = reached else { break };
        range = IdRange::ALL.below(reached);
    }
    assert_eq!(found, table.newest_first());
}

/// A table whose shards answer once each.
struct Stuck(Table);

impl ShardSource for &Stuck {
    type Entry = TaskId;
    type Error = Infallible;

    async fn read(&self, shard: Shard, range: IdRange, limit: usize) -> Result<Chunk<TaskId>, Infallible> {
        if self.0.calls.load(Ordering::Relaxed) >= Shard::COUNT {
            std::future::pending::<()>().await;
        }
        (&self.0).read(shard, range, limit).await
    }
}

#[tokio::test]
async fn a_read_that_does_not_end_in_time_is_given_up_and_what_was_read_is_returned() {
    let table = Stuck(Table::with(500));
    let limits = ReadLimits {
        until: Instant::now() + Duration::from_millis(1),
        ..up_to(1_000)
    };
    let mut found = Vec::new();
    let reached = take_all(Merge::new(&table, IdRange::ALL, 10, limits), &mut found).await;
    let reached = reached.expect("there is more");
    let mut complete = table.0.newest_first();
    complete.retain(|id| *id >= reached);
    assert_eq!(found, complete);
}

#[tokio::test]
async fn an_empty_range_reads_nothing() {
    let table = Table::with(20);
    let now = jiff::Timestamp::now();
    let nothing = IdRange::ALL.since(now).before(now);
    assert_eq!(table.page(nothing, 10, 1_000).await, (Vec::new(), true));
    assert_eq!(table.reads(), (0, 0));
}

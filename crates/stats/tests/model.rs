//! The reactor's work on a model of the stream: records of random tasks come in random batches, from two shards side by
//! side whose numbers mean nothing to each other, and are repeated, cut in half, and repeated from the middle. Whatever
//! happens, the book must tell what the tasks are, and the log each change once and in its task's order.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use mesh_stats::{Change, Counts, Record, Recount, Sequence, Snapshot, TenantCounters};
use mesh_task::{Status, TaskId, TaskType, Tenant};

const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// The tasks, as the table holds them, and the streams of their two shards.
struct Table {
    tasks: HashMap<TaskId, Snapshot>,
    ids: Vec<TaskId>,
    shards: [Vec<Record>; 2],
    next: [u64; 2],
    clock: Timestamp,
}

/// A book, as the reactor keeps it.
#[derive(Default)]
struct Keeper {
    book: TenantCounters,
    log: Vec<Change>,
    lookups: usize,
}

impl Table {
    fn new() -> Self {
        Self {
            tasks: HashMap::new(),
            ids: Vec::new(),
            shards: [Vec::new(), Vec::new()],
            // A split partition's halves: the second one's numbers lie below the first one's.
            next: [1_000_000, 10],
            clock: NOON,
        }
    }

    fn write(&mut self, old: Option<Snapshot>, new: Option<Snapshot>) {
        let id = new.as_ref().or(old.as_ref()).expect("a write has an item").id;
        // Not by the id's last bits: a sixteenth of the tasks may lie on both.
        let shard = usize::from(id.to_string().as_bytes()[20] % 2);
        self.next[shard] += 1;
        self.shards[shard].push(Record {
            sequence: sequence(self.next[shard]),
            written_at: self.clock,
            old,
            new: new.clone(),
        });
        match new {
            Some(task) => self.tasks.insert(id, task),
            None => self.tasks.remove(&id),
        };
    }

    /// One write to a random task.
    fn step(&mut self, rng: &mut Rng) {
        self.clock += Duration::from_millis(rng.u64(0..2_000));
        if self.tasks.is_empty() || rng.u8(0..4) == 0 {
            let id = TaskId::generate();
            self.ids.push(id);
            let task = Snapshot {
                id,
                tenant: Tenant::first(),
                task_type: *rng.choice(&TaskType::ALL).expect("there are types"),
                status: Status::Pending,
                generation: 1,
                attempt: 0,
                fence: 0,
                created_at: self.clock,
                updated_at: self.clock,
                next_attempt_at: None,
                error: None,
                expires_at: Some((self.clock + Duration::from_secs(rng.u64(0..10_000))).as_second()),
            };
            return self.write(None, Some(task));
        }
        let id = *rng.choice(&self.ids).expect("there are tasks");
        let Some(old) = self.tasks.get(&id).cloned() else {
            return;
        };
        let mut new = old.clone();
        new.updated_at = self.clock;
        match (old.status, rng.u8(0..6)) {
            (Status::Pending, 0..=3) => {
                new.status = Status::Processing;
                new.attempt += 1;
                new.fence += 1;
            }
            (Status::Processing, 0..3) => new.status = Status::Completed,
            (Status::Processing, 3) => new.status = Status::Failed,
            (Status::Processing, 4) => new.status = Status::Pending,
            (Status::Pending | Status::Processing, _) => {
                new.status = Status::Cancelled;
                new.fence += 1;
            }
            (Status::Failed | Status::Cancelled, 0..3) => {
                new.status = Status::Pending;
                new.generation += 1;
                new.attempt = 0;
                new.fence += 1;
            }
            (_, 5) if old.expires_at.is_some_and(|at| at < self.clock.as_second()) => {
                return self.write(Some(old), None);
            }
            // The janitor puts it off: nothing to see.
            _ => new.updated_at = old.updated_at,
        }
        self.write(Some(old), Some(new));
    }

    fn truth(&self) -> Counts {
        let mut counts = Counts::default();
        for task in self.tasks.values() {
            counts.add(task.task_type, task.status, 1);
        }
        counts
    }
}

impl Keeper {
    fn take(&mut self, records: &[Record], now: Timestamp) {
        let suspects: Vec<_> = self
            .book
            .possible_duplicates(records)
            .map(|record| record.sequence.clone())
            .collect();
        self.lookups += usize::from(!suspects.is_empty());
        let logged: HashSet<&Sequence> = self.log.iter().map(|change| &change.sequence).collect();
        let counted = suspects
            .into_iter()
            .filter(|sequence| logged.contains(sequence))
            .collect();
        if let Some(next) = self.book.fold(records, &counted, now) {
            assert_eq!(next.before_latest(), self.book.last);
            self.log.extend(next.latest.changes.iter().cloned());
            assert_eq!(next.last, self.log.len() as u64);
            self.book = next;
        }
    }
}

/// Reads a shard as Lambda does: batches in order; one that failed comes again, whole, longer, or cut in half.
struct Reader {
    at: usize,
}

impl Reader {
    fn read(&mut self, shard: &[Record], keeper: &mut Keeper, rng: &mut Rng, now: Timestamp) {
        let left = &shard[self.at..];
        let size = left.len().min(rng.usize(1..30));
        match rng.u8(0..5) {
            // It was counted, and yet its invocation failed.
            0 => keeper.take(&left[..size], now),
            // A half of it was counted, and the checkpoint lies somewhere before.
            1 => {
                keeper.take(&left[..size.div_ceil(2)], now);
                self.at += rng.usize(0..=size / 2);
            }
            // Cut in half, from where the last checkpoint was.
            2 => {
                keeper.take(&left[..size / 2], now);
                keeper.take(&left[size / 2..size], now);
                self.at += size;
            }
            _ => {
                keeper.take(&left[..size], now);
                self.at += size;
            }
        }
    }
}

fn sequence(number: u64) -> Sequence {
    format!("{number}00000000000000000000")
        .try_into()
        .expect("it is a number")
}

fn drain(table: &Table, readers: &mut [Reader; 2], keeper: &mut Keeper, rng: &mut Rng) {
    while (0..2).any(|shard| readers[shard].at < table.shards[shard].len()) {
        let shard = rng.usize(0..2);
        readers[shard].read(&table.shards[shard], keeper, rng, table.clock);
    }
}

#[test]
fn every_change_counts_once_whatever_is_repeated_or_cut_in_half() {
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let (mut table, mut keeper) = (Table::new(), Keeper::default());
        let mut readers = [Reader { at: 0 }, Reader { at: 0 }];
        for _ in 0..300 {
            table.step(&mut rng);
            if rng.u8(0..5) == 0 {
                let shard = rng.usize(0..2);
                readers[shard].read(&table.shards[shard], &mut keeper, &mut rng, table.clock);
            }
        }
        drain(&table, &mut readers, &mut keeper, &mut rng);
        assert_eq!(keeper.book.counts, table.truth(), "seed {seed}");

        let mut last: HashMap<TaskId, Option<Status>> = HashMap::new();
        let mut seen = HashSet::new();
        for change in &keeper.log {
            assert!(
                seen.insert(&change.sequence),
                "seed {seed}: {change:?} came twice"
            );
            let before = last.insert(change.id, change.status).flatten();
            assert_eq!(change.from, before, "seed {seed}: {change:?} is out of its order");
        }
        let submitted = table.ids.len() as u64;
        let told = keeper.log.iter().filter(|change| change.from.is_none()).count() as u64;
        assert_eq!(told, submitted, "seed {seed}");
    }
}

#[test]
fn what_comes_in_order_is_never_looked_up() {
    let mut rng = Rng::with_seed(1);
    let (mut table, mut keeper) = (Table::new(), Keeper::default());
    let mut at = 0;
    // Ids are random: how many of them lie on this shard is not the same on every run.
    while keeper.log.len() <= 100 {
        table.step(&mut rng);
        let shard = &table.shards[0];
        if shard.len() > at + 20 {
            keeper.take(&shard[at..], table.clock);
            at = shard.len();
        }
    }
    assert_eq!(keeper.lookups, 0);
}

#[test]
fn a_recount_among_flowing_tasks_ends_at_the_truth() {
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let (mut table, mut keeper) = (Table::new(), Keeper::default());
        let mut readers = [Reader { at: 0 }, Reader { at: 0 }];
        let flow = |table: &mut Table,
                    keeper: &mut Keeper,
                    readers: &mut [Reader; 2],
                    steps: usize,
                    rng: &mut Rng| {
            for _ in 0..steps {
                table.step(rng);
                if rng.u8(0..4) == 0 {
                    let shard = rng.usize(0..2);
                    readers[shard].read(&table.shards[shard], keeper, rng, table.clock);
                }
            }
        };
        flow(&mut table, &mut keeper, &mut readers, 300, &mut rng);
        drain(&table, &mut readers, &mut keeper, &mut rng);
        // The counters went wrong, whyever, and the tasks rested for longer than the stream ever lags behind.
        keeper.book = keeper.book.recounted(Counts::default());
        table.clock += Duration::from_secs(rng.u64(0..2) * 3_600);
        let since = keeper
            .log
            .partition_point(|change| change.updated_at < table.clock - 2 * mesh_stats::RECENT);
        let mut recount = Recount::new(table.clock);

        // A scan reads one task after the other while they change.
        let mut ids: Vec<TaskId> = table.ids.clone();
        rng.shuffle(&mut ids);
        for id in ids {
            if let Some(task) = table.tasks.get(&id) {
                recount.count(task.clone());
            }
            flow(&mut table, &mut keeper, &mut readers, 1, &mut rng);
        }
        let mut rounds = 0;
        while recount.unseen(&keeper.log[since..]) > 0 || rounds < 1 {
            rounds += 1;
            assert!(rounds < 100, "seed {seed}: the log never catches up");
            drain(&table, &mut readers, &mut keeper, &mut rng);
        }
        keeper.book = keeper.book.recounted(recount.counts(&keeper.log[since..]));
        flow(&mut table, &mut keeper, &mut readers, 50, &mut rng);
        drain(&table, &mut readers, &mut keeper, &mut rng);
        assert_eq!(keeper.book.counts, table.truth(), "seed {seed}");
    }
}

#[test]
fn a_recount_believes_the_table_where_records_were_lost() {
    let mut rng = Rng::with_seed(3);
    let (mut table, mut keeper) = (Table::new(), Keeper::default());
    for _ in 0..400 {
        table.step(&mut rng);
    }
    for shard in 0..2 {
        for batch in table.shards[shard].chunks(10) {
            if rng.u8(0..3) > 0 {
                keeper.take(batch, table.clock);
            }
        }
    }
    assert_ne!(keeper.book.counts, table.truth());
    let mut recount = Recount::new(table.clock + Duration::from_mins(2));
    table.tasks.values().for_each(|task| recount.count(task.clone()));
    assert!(recount.unseen(&keeper.log) > 0);
    assert_eq!(recount.counts(&keeper.log), table.truth());
    assert_eq!(recount.tasks(), table.tasks.len() as u64);
}

#[test]
fn a_book_is_read_back_from_the_table_as_it_was_written() {
    let mut rng = Rng::with_seed(5);
    let (mut table, mut keeper) = (Table::new(), Keeper::default());
    for _ in 0..100 {
        table.step(&mut rng);
    }
    keeper.take(&table.shards[0], table.clock);
    let item: serde_dynamo::Item = serde_dynamo::to_item(&keeper.book).expect("a book is an item");
    assert_eq!(
        serde_dynamo::from_item::<_, TenantCounters>(item).expect("it is a book"),
        keeper.book
    );
}

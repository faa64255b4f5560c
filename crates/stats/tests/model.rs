//! The reactor's work on a model of the stream.
//!
//! The records of random tasks arrive in random batches, from two parallel stream shards whose numbers cannot be compared.
//! Batches are repeated, cut in half, and repeated from the middle. Afterwards the counters must match the tasks, and the log
//! must contain each change once, in the order of its task.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use mesh_stats::{Change, Counts, Record, Recount, Sequence, Snapshot, TenantCounters};
use mesh_task::{Status, TaskId, TaskType, Tenant};

const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// The tasks of the table, and its stream in two shards.
struct Table {
    tasks: HashMap<TaskId, Snapshot>,
    ids: Vec<TaskId>,
    shards: [Vec<Record>; 2],
    next: [u64; 2],
    clock: Timestamp,
}

/// The counters and the log, as the reactor maintains them.
#[derive(Default)]
struct Reactor {
    counters: TenantCounters,
    log: Vec<Change>,
    lookups: usize,
}

impl Table {
    fn new() -> Self {
        Self {
            tasks: HashMap::new(),
            ids: Vec::new(),
            shards: [Vec::new(), Vec::new()],
            // The halves of a partition that was split: the numbers of the second are below those of the first.
            next: [1_000_000, 10],
            clock: NOON,
        }
    }

    fn write(&mut self, old: Option<Snapshot>, new: Option<Snapshot>) {
        let id = new.as_ref().or(old.as_ref()).expect("a write has an item").id;
        // Not by the id's last bits, so that one shard of the tasks can have records in both stream shards.
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
            // The sweeper defers its check, which is not a visible change.
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

impl Reactor {
    fn fold(&mut self, records: &[Record], now: Timestamp) {
        let repeats: Vec<_> = self
            .counters
            .possible_repeats(records)
            .map(|record| record.sequence.clone())
            .collect();
        self.lookups += usize::from(!repeats.is_empty());
        let logged: HashSet<&Sequence> = self.log.iter().map(|change| &change.sequence).collect();
        let counted = repeats
            .into_iter()
            .filter(|sequence| logged.contains(sequence))
            .collect();
        if let Some(next) = self.counters.fold(records, &counted, now) {
            assert_eq!(next.before_latest(), self.counters.last);
            self.log.extend(next.latest.changes.iter().cloned());
            assert_eq!(next.last, self.log.len() as u64);
            self.counters = next;
        }
    }
}

/// Reads a stream shard as Lambda does: batches in order. A batch that failed is repeated: whole, longer, or cut in half.
struct Reader {
    at: usize,
}

impl Reader {
    fn read(&mut self, shard: &[Record], reactor: &mut Reactor, rng: &mut Rng, now: Timestamp) {
        let left = &shard[self.at..];
        let size = left.len().min(rng.usize(1..30));
        match rng.u8(0..5) {
            // The batch was counted, but its invocation failed.
            0 => reactor.fold(&left[..size], now),
            // Half of it was counted, and the checkpoint is somewhere before.
            1 => {
                reactor.fold(&left[..size.div_ceil(2)], now);
                self.at += rng.usize(0..=size / 2);
            }
            // It was cut in half at the last checkpoint.
            2 => {
                reactor.fold(&left[..size / 2], now);
                reactor.fold(&left[size / 2..size], now);
                self.at += size;
            }
            _ => {
                reactor.fold(&left[..size], now);
                self.at += size;
            }
        }
    }
}

fn sequence(number: u64) -> Sequence {
    format!("{number}00000000000000000000")
        .try_into()
        .expect("a number is a sequence")
}

fn drain(table: &Table, readers: &mut [Reader; 2], reactor: &mut Reactor, rng: &mut Rng) {
    while (0..2).any(|shard| readers[shard].at < table.shards[shard].len()) {
        let shard = rng.usize(0..2);
        readers[shard].read(&table.shards[shard], reactor, rng, table.clock);
    }
}

#[test]
fn every_change_counts_once_when_batches_are_repeated_or_cut_in_half() {
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let (mut table, mut reactor) = (Table::new(), Reactor::default());
        let mut readers = [Reader { at: 0 }, Reader { at: 0 }];
        for _ in 0..300 {
            table.step(&mut rng);
            if rng.u8(0..5) == 0 {
                let shard = rng.usize(0..2);
                readers[shard].read(&table.shards[shard], &mut reactor, &mut rng, table.clock);
            }
        }
        drain(&table, &mut readers, &mut reactor, &mut rng);
        assert_eq!(reactor.counters.counts, table.truth(), "seed {seed}");

        let mut last: HashMap<TaskId, Option<Status>> = HashMap::new();
        let mut seen = HashSet::new();
        for change in &reactor.log {
            assert!(
                seen.insert(&change.sequence),
                "seed {seed}: {change:?} is in the log twice"
            );
            let before = last.insert(change.id, change.status).flatten();
            assert_eq!(change.from, before, "seed {seed}: {change:?} is out of order");
        }
        let submitted = table.ids.len() as u64;
        let created = reactor.log.iter().filter(|change| change.from.is_none()).count() as u64;
        assert_eq!(created, submitted, "seed {seed}");
    }
}

#[test]
fn records_in_order_are_never_looked_up() {
    let mut rng = Rng::with_seed(1);
    let (mut table, mut reactor) = (Table::new(), Reactor::default());
    let mut at = 0;
    // Ids are random, so each run has a different number of them on this shard.
    while reactor.log.len() <= 100 {
        table.step(&mut rng);
        let shard = &table.shards[0];
        if shard.len() > at + 20 {
            reactor.fold(&shard[at..], table.clock);
            at = shard.len();
        }
    }
    assert_eq!(reactor.lookups, 0);
}

#[test]
fn a_recount_while_tasks_change_matches_the_tasks() {
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let (mut table, mut reactor) = (Table::new(), Reactor::default());
        let mut readers = [Reader { at: 0 }, Reader { at: 0 }];
        let flow = |table: &mut Table,
                    reactor: &mut Reactor,
                    readers: &mut [Reader; 2],
                    steps: usize,
                    rng: &mut Rng| {
            for _ in 0..steps {
                table.step(rng);
                if rng.u8(0..4) == 0 {
                    let shard = rng.usize(0..2);
                    readers[shard].read(&table.shards[shard], reactor, rng, table.clock);
                }
            }
        };
        flow(&mut table, &mut reactor, &mut readers, 300, &mut rng);
        drain(&table, &mut readers, &mut reactor, &mut rng);
        // The counters are wrong, and in half of the runs the tasks did not change for longer than the stream lags behind.
        reactor.counters = reactor.counters.recounted(Counts::default());
        table.clock += Duration::from_secs(rng.u64(0..2) * 3_600);
        let since = reactor
            .log
            .partition_point(|change| change.updated_at < table.clock - 2 * mesh_stats::RECENT);
        let mut recount = Recount::new(table.clock);

        // A scan reads the tasks one by one while they change.
        let mut ids: Vec<TaskId> = table.ids.clone();
        rng.shuffle(&mut ids);
        for id in ids {
            if let Some(task) = table.tasks.get(&id) {
                recount.count(task.clone());
            }
            flow(&mut table, &mut reactor, &mut readers, 1, &mut rng);
        }
        let mut rounds = 0;
        while recount.unseen(&reactor.log[since..]) > 0 || rounds < 1 {
            rounds += 1;
            assert!(
                rounds < 100,
                "seed {seed}: the log never contains what the scan has seen"
            );
            drain(&table, &mut readers, &mut reactor, &mut rng);
        }
        reactor.counters = reactor.counters.recounted(recount.counts(&reactor.log[since..]));
        flow(&mut table, &mut reactor, &mut readers, 50, &mut rng);
        drain(&table, &mut readers, &mut reactor, &mut rng);
        assert_eq!(reactor.counters.counts, table.truth(), "seed {seed}");
    }
}

#[test]
fn a_recount_follows_the_table_where_records_were_lost() {
    let mut rng = Rng::with_seed(3);
    let (mut table, mut reactor) = (Table::new(), Reactor::default());
    for _ in 0..400 {
        table.step(&mut rng);
    }
    for shard in 0..2 {
        for batch in table.shards[shard].chunks(10) {
            if rng.u8(0..3) > 0 {
                reactor.fold(batch, table.clock);
            }
        }
    }
    assert_ne!(reactor.counters.counts, table.truth());
    let mut recount = Recount::new(table.clock + Duration::from_mins(2));
    table.tasks.values().for_each(|task| recount.count(task.clone()));
    assert!(recount.unseen(&reactor.log) > 0);
    assert_eq!(recount.counts(&reactor.log), table.truth());
    assert_eq!(recount.tasks(), table.tasks.len() as u64);
}

#[test]
fn counters_are_read_back_from_the_table_as_they_were_written() {
    let mut rng = Rng::with_seed(5);
    let (mut table, mut reactor) = (Table::new(), Reactor::default());
    for _ in 0..100 {
        table.step(&mut rng);
    }
    reactor.fold(&table.shards[0], table.clock);
    let item: serde_dynamo::Item = serde_dynamo::to_item(&reactor.counters).expect("counters are an item");
    assert_eq!(
        serde_dynamo::from_item::<_, TenantCounters>(item).expect("the item is counters"),
        reactor.counters
    );
}

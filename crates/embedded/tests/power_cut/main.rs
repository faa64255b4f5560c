//! A power cut loses nothing that was answered.
//!
//! ```text
//! workload.rs   clients that use a store; ledger.rs has what they did and what they were answered
//! vfs.rs        records what SQLite does to its files, files.rs what the store does to the payloads; journal.rs has both in one order
//! disk.rs       what a disk contains after a power cut at some point of the journal
//! check.rs      opens that, and compares it with the ledger
//! ```
//!
//! `AI_MESH_POWER_CUTS` is the number of cuts per run, and `AI_MESH_POWER_CUT_SEED` decides where they are.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod check;
mod disk;
mod files;
mod journal;
mod ledger;
mod vfs;
mod workload;

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use fastrand::Rng;
use mesh_embedded::{Embedded, Settings};
use mesh_task::{TaskId, Tenant};
use tempfile::TempDir;

use crate::check::{Before, Kept, Past, check, read_link_key};
use crate::disk::{Disk, Loss};
use crate::files::RecordedFiles;
use crate::journal::{Entry, Event, Inode, Journal};
use crate::ledger::{History, Ledger, Moment, StoredPayload};

/// The rounds of each client until the store is closed, and again after it is opened. The log grows beyond SQLite's limit, so
/// that there are checkpoints.
const ROUNDS: usize = 25;
/// How often the power is cut, and then once more while the store is opened.
const CUTS: usize = 24;
/// The same, where a loss is expected: it comes early.
const SHORT_ROUNDS: usize = 8;
const SHORT_CUTS: usize = 5;
const SEED: u64 = 17;

fn settings() -> Settings {
    Settings {
        address: "http://127.0.0.1:8000".to_owned(),
        max_receives: 100,
    }
}

/// The data folder, which the first start creates.
fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// A number from the environment.
fn setting<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

type NewJournal = fn(&Path) -> Arc<Journal>;

/// An empty folder.
fn temporary_folder() -> TempDir {
    // Nothing in it has to survive a real power cut.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.unwrap()
}

/// A journal of an empty folder, which exists as long as the first value.
fn new_journal(begin: NewJournal) -> (TempDir, Arc<Journal>) {
    let folder = temporary_folder();
    let journal = begin(&folder.path().canonicalize().unwrap());
    vfs::record(&journal);
    (folder, journal)
}

/// A store that was used, closed, opened and used again.
struct Recording {
    ledger: Ledger,
    events: Vec<Event>,
    /// When the store was open for the first time.
    opened: Option<usize>,
    _folder: TempDir,
}

impl Recording {
    /// A recording with nothing in it.
    fn begin(begin: NewJournal) -> Self {
        let (folder, journal) = new_journal(begin);
        Self {
            ledger: Ledger::new(journal),
            events: Vec::new(),
            opened: None,
            _folder: folder,
        }
    }

    fn open(&mut self, files: Arc<RecordedFiles>) -> Embedded {
        let journal = &self.ledger.journal;
        let begun = journal.position();
        let embedded = Embedded::open_with(&data(journal.folder()), settings(), files).unwrap();
        let key = read_link_key(&data(journal.folder()));
        let opened = journal.position();
        self.ledger.link_key().push(begun, opened, key);
        self.opened.get_or_insert(opened);
        embedded
    }

    fn end(mut self) -> Self {
        self.events = self.ledger.journal.take_events();
        self
    }

    /// Records a workload.
    async fn make(begin: NewJournal, rounds: usize, seed: u64) -> Self {
        let mut recording = Self::begin(begin);
        let files = RecordedFiles::new(&recording.ledger.journal);
        for life in 0..2 {
            let embedded = recording.open(Arc::clone(&files) as _);
            workload::run(&embedded, &recording.ledger, &files, rounds, 2 * seed + life).await;
        }
        recording.end()
    }

    /// Cuts the power at some moments, and returns the first promise that is broken. What is not `executed` does not reach the
    /// disk.
    async fn check_cuts(&self, cuts: usize, seed: u64, executed: impl Fn(&Event) -> bool) -> Kept {
        let mut rng = Rng::with_seed(seed);
        let (opened, all) = (self.opened.unwrap(), self.events.len());
        let backups = self.ledger.backups().clone();
        let moment = |cut| match cut % 4 {
            0 => rng.usize(..=opened),
            1 => {
                let Moment { begun, ended } = rng.choice(&backups).unwrap().moment;
                rng.usize(begun..=ended)
            }
            _ => rng.usize(..=all),
        };
        let mut moments: Vec<usize> = (0..cuts).map(moment).collect();
        moments.sort_unstable();
        let mut disk = Disk::default();
        let mut events = self.events.iter();
        let mut applied = 0;
        for (cut, moment) in moments.into_iter().enumerate() {
            let next = events.by_ref().take(moment - applied);
            next.filter(|event| executed(event))
                .for_each(|event| disk.apply(event));
            applied = moment;
            let loss = Loss::ALL[cut % Loss::ALL.len()];
            let checked = self.check(&disk, loss, &mut rng, moment).await;
            checked.map_err(|broken| {
                format!("cut {cut} of seed {seed}, at event {moment} of {all}, loss {loss:?}: {broken}")
            })?;
        }
        Ok(())
    }

    /// Cuts the power, and once more while what is left is opened and used.
    async fn check(&self, disk: &Disk<'_>, loss: Loss, rng: &mut Rng, moment: usize) -> Kept {
        let mut past = Past {
            moment: moment.into(),
            was_cleaned: false,
        };
        let checked = self.check_once(disk, loss, rng, past, Before::SecondCut);
        let (begun, events) = checked.await?;
        let second = rng.usize(begun..=events.len());
        let mut disk = Disk::default();
        events[..second].iter().for_each(|event| disk.apply(event));
        past.was_cleaned = true;
        let checked = self.check_once(&disk, loss, rng, past, Before::End).await;
        checked.map(drop).map_err(|broken| {
            let (second, all) = (second - begun, events.len() - begun);
            format!("and again at event {second} of {all}: {broken}")
        })
    }

    /// Cuts the power. Returns what was done to open and use what is left, which is in the first events, up to a number.
    async fn check_once(
        &self,
        disk: &Disk<'_>,
        loss: Loss,
        rng: &mut Rng,
        past: Past,
        before: Before,
    ) -> Result<(usize, Vec<Event>), String> {
        let (_folder, journal) = new_journal(Journal::new);
        disk.cut(loss, rng, &journal);
        let begun = journal.position();
        check(&journal, &self.ledger, past, before).await?;
        Ok((begun, journal.take_events()))
    }

    /// The files that had a name for which this holds.
    fn files(&self, holds: impl Fn(&Path) -> bool) -> HashSet<Inode> {
        let linked = self.events.iter().filter_map(|event| match event {
            Event::Link {
                path,
                entry: Entry::File(file),
            } if holds(path) => Some(*file),
            _ => None,
        });
        linked.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_all_that_was_answered_is_there() {
    let seed = setting("AI_MESH_POWER_CUT_SEED", SEED);
    let cuts = setting("AI_MESH_POWER_CUTS", CUTS);
    let recording = Recording::make(Journal::new, ROUNDS, seed).await;
    let database = recording.files(|path| path == "data/mesh.db");
    let is_checkpoint = |event: &Event| matches!(event, Event::Write { file, .. } if database.contains(file));
    assert!(
        recording.events[recording.opened.unwrap()..]
            .iter()
            .any(is_checkpoint),
        "no checkpoint is among what is cut"
    );
    assert_eq!(recording.check_cuts(cuts, seed, |_| true).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_a_power_cut_ended_is_repeated() {
    let mut recording = Recording::begin(Journal::new);
    let files = RecordedFiles::new(&recording.ledger.journal);
    drop(recording.open(files));
    let recording = recording.end();
    let mut disk = Disk::default();
    for (moment, event) in recording.events.iter().enumerate() {
        disk.apply(event);
        for loss in Loss::ALL {
            let mut rng = Rng::with_seed(SEED);
            let past = Past {
                moment: (moment + 1).into(),
                was_cleaned: false,
            };
            let kept = recording
                .check_once(&disk, loss, &mut rng, past, Before::SecondCut)
                .await;
            assert_eq!(kept.err(), None, "after {event:?}, with loss {loss:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_are_not_synced_are_found() {
    let recording = Recording::make(Journal::with_synchronous_normal, SHORT_ROUNDS, SEED).await;
    let kept = recording.check_cuts(CUTS, SEED, |_| true).await;
    assert!(kept.is_err(), "nothing was lost with synchronous=NORMAL");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sync_that_is_left_out_is_found() {
    let recording = Recording::make(Journal::new, SHORT_ROUNDS, SEED).await;
    assert_eq!(recording.check_cuts(SHORT_CUTS, SEED, |_| true).await, Ok(()));
    for name in ["mesh.db-wal", "link-key", "payloads"] {
        let files = recording.files(|path| path.starts_with(data(Path::new("")).join(name)));
        let is_left_out = |event: &Event| matches!(event, Event::Sync { file } if files.contains(file));
        let kept = recording
            .check_cuts(CUTS, SEED, |event| !is_left_out(event))
            .await;
        assert!(kept.is_err(), "nothing was lost without the sync of {name}");
    }
    // The folder that contains the data folder, the data folder, that of the payloads, a tenant's, and a task's.
    for depth in 0..=4 {
        let is_left_out =
            |event: &Event| matches!(event, Event::SyncFolder { folder } if folder.iter().count() == depth);
        let kept = recording
            .check_cuts(CUTS, SEED, |event| !is_left_out(event))
            .await;
        assert!(
            kept.is_err(),
            "nothing was lost without the sync of folders at depth {depth}"
        );
    }
    let is_backup = |folder: &Path| folder.to_str().unwrap().starts_with("backup-");
    let of_all = |event: &Event| matches!(event, Event::SyncAll);
    let of_mark = |event: &Event| matches!(event, Event::SyncFolder { folder } if is_backup(folder));
    let left_out: [&dyn Fn(&Event) -> bool; 2] = [&of_all, &of_mark];
    for (name, is_left_out) in ["files", "mark"].into_iter().zip(left_out) {
        let kept = recording
            .check_cuts(CUTS, SEED, |event| !is_left_out(event))
            .await;
        assert!(
            kept.as_ref().is_err_and(|broken| broken.contains(": backup-")),
            "no backup was lost without the sync of its {name}: {kept:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_sync_failed_is_synced_before_the_next_payload_is_answered() {
    for syncs in 0..3 {
        let mut recording = Recording::begin(Journal::new);
        let files = RecordedFiles::new(&recording.ledger.journal);
        let embedded = recording.open(Arc::clone(&files));
        files.fail_sync_of_folder_after(syncs);
        let (tenant, id) = (Tenant::first(), TaskId::generate());
        let store = embedded.payload_store();
        let put = || store.put_input(&tenant, id, b"fine".to_vec(), "text/plain");
        put().await.unwrap_err();
        let stored = put().await.unwrap();
        let recording = recording.end();
        let mut disk = Disk::default();
        recording.events.iter().for_each(|event| disk.apply(event));
        let mut states = History::default();
        states.push(0, 0, Some(stored));
        let has_expired = false;
        recording
            .ledger
            .payloads()
            .push(StoredPayload { states, has_expired });
        let kept = recording
            .check(&disk, Loss::Everything, &mut Rng::new(), recording.events.len())
            .await;
        assert_eq!(kept, Ok(()), "after {syncs} syncs");
    }
}

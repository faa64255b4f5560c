//! What can happen to the system, and how proptest draws it.

use std::collections::HashMap;
use std::ops::Range;

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;

use crate::process::Fault;

/// How many idempotency keys of each kind the clients use.
pub(crate) const KEYS: usize = 3;
/// How many tasks a batch has.
pub(crate) const BATCH: usize = 3;
/// How many messages a worker receives at once.
pub(crate) const RECEIVED: usize = 3;
/// A fault is planned for one of this many calls of a process.
const CALLS: usize = 10;

/// How many frozen processes a step chooses from.
const FROZEN: usize = 3;
/// After so many seconds the leases and the visibility timeouts have expired.
const EXPIRED: Range<i64> = 400..4_000;

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a result that the task's item contains.
    Result,
    /// With a result that is a payload.
    LargeResult,
    Permanent,
    Transient,
    Panic,
    Timeout,
    Throttled,
    /// The runner's own process ends, and the worker's does not.
    Lost,
    /// The worker's process ends.
    Crash,
}

/// What a client submits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Submission {
    /// A task without a key.
    New { is_large: bool },
    /// The task of a key. Each second key's input is a payload.
    Keyed(usize),
    /// A batch without a key.
    NewBatch,
    /// The batch of a key.
    KeyedBatch(usize),
}

/// What a process does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Submit(Submission),
    Cancel {
        task: usize,
    },
    Retry {
        task: usize,
    },
    /// Redrives all dead letters.
    Redrive,
    /// Receives messages of a lane, and runs their tasks.
    Run {
        is_large: bool,
        most: usize,
        ends: [End; RECEIVED],
    },
    Sweep,
    ResendDeadLetters,
    Count,
}

/// One step. A process that was frozen in a step goes on in a later one.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Start {
        work: Work,
        faults: HashMap<usize, Fault>,
    },
    /// The process is counted from the newest one that is frozen.
    Thaw {
        process: usize,
    },
    Kill {
        process: usize,
    },
    Wait {
        seconds: i64,
    },
}

/// Up to 35 parts of one or several steps.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let started = (work(), faults()).prop_map(|(work, faults)| Step::Start { work, faults });
    let step = prop_oneof![
        16 => started,
        3 => (0..FROZEN).prop_map(|process| Step::Thaw { process }),
        1 => (0..FROZEN).prop_map(|process| Step::Kill { process }),
        4 => prop_oneof![1..70i64, EXPIRED].prop_map(|seconds| Step::Wait { seconds }),
    ];
    let part = prop_oneof![
        24 => step.prop_map(|step| vec![step]),
        2 => stalled(),
        1 => crashing(),
    ];
    vec(part, 1..35).prop_map(|parts| parts.concat())
}

/// Two workers that stand still with the same task, one after the other. Single steps rarely come to that.
fn stalled() -> impl Strategy<Value = Vec<Step>> {
    let freeze = || prop_oneof![Just(Fault::FreezeBefore), Just(Fault::FreezeAfter)];
    let run = move || {
        (ends(), 1..RECEIVED, 1..5usize, freeze()).prop_map(move |(ends, most, call, fault)| Step::Start {
            work: Work::Run {
                is_large: false,
                most,
                ends,
            },
            faults: [(call, fault)].into(),
        })
    };
    let thaws = prop_oneof![3 => Just([1, 0]), 1 => Just([0, 0])];
    (run(), EXPIRED, run(), thaws).prop_map(|(first, seconds, second, thaws)| {
        let [one, other] = thaws.map(|process| Step::Thaw { process });
        let submitted = without_fault(Work::Submit(Submission::New { is_large: false }));
        let waited = Step::Wait { seconds };
        vec![
            submitted,
            first,
            waited,
            without_fault(Work::Sweep),
            second,
            one,
            other,
        ]
    })
}

/// A task that ends its process again and again, until no attempt is left.
fn crashing() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![Just(End::Crash), Just(End::Lost)];
    vec((end, EXPIRED), 3..6).prop_map(|crashes| {
        let mut steps = vec![without_fault(Work::Submit(Submission::New { is_large: false }))];
        for (end, seconds) in crashes {
            let run = Work::Run {
                is_large: false,
                most: RECEIVED,
                ends: [end; RECEIVED],
            };
            steps.push(without_fault(run));
            steps.push(Step::Wait { seconds });
            steps.push(without_fault(Work::Sweep));
        }
        steps
    })
}

fn without_fault(work: Work) -> Step {
    let faults = HashMap::new();
    Step::Start { work, faults }
}

fn ends() -> impl Strategy<Value = [End; RECEIVED]> {
    let end = || {
        prop_oneof![
            2 => Just(End::Result),
            1 => Just(End::LargeResult),
            1 => Just(End::Permanent),
            2 => Just(End::Transient),
            1 => Just(End::Panic),
            1 => Just(End::Timeout),
            1 => Just(End::Throttled),
            1 => Just(End::Lost),
            2 => Just(End::Crash),
        ]
    };
    [end(), end(), end()]
}

fn work() -> impl Strategy<Value = Work> {
    let submission = prop_oneof![
        2 => any::<bool>().prop_map(|is_large| Submission::New { is_large }),
        3 => (0..KEYS).prop_map(Submission::Keyed),
        1 => Just(Submission::NewBatch),
        1 => (0..KEYS).prop_map(Submission::KeyedBatch),
    ];
    prop_oneof![
        5 => submission.prop_map(Work::Submit),
        1 => any::<usize>().prop_map(|task| Work::Cancel { task }),
        2 => any::<usize>().prop_map(|task| Work::Retry { task }),
        1 => Just(Work::Redrive),
        9 => (prop::bool::weighted(0.3), 1..=RECEIVED, ends())
            .prop_map(|(is_large, most, ends)| Work::Run { is_large, most, ends }),
        3 => Just(Work::Sweep),
        1 => Just(Work::ResendDeadLetters),
        2 => Just(Work::Count),
    ]
}

fn faults() -> impl Strategy<Value = HashMap<usize, Fault>> {
    let fault = prop_oneof![
        Just(Fault::FailBefore),
        Just(Fault::Throttle),
        Just(Fault::FailAfter),
        Just(Fault::Repeat),
        Just(Fault::CrashBefore),
        Just(Fault::CrashAfter),
        Just(Fault::FreezeBefore),
        Just(Fault::FreezeAfter),
    ];
    hash_map(0..CALLS, fault, 0..3)
}

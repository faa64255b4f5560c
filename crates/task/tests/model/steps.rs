//! What can happen to a task, and how proptest draws it.

use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Result,
    Permanent,
    Transient,
    Timeout,
    Throttled,
    Interrupted,
    Lost,
}

/// One step. A person and the sweeper read in one step and write in a later one, so that other steps come in between.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Deliver {
        worker: usize,
        message: usize,
        has_room: bool,
    },
    Finish {
        worker: usize,
        end: End,
    },
    Renew {
        worker: usize,
    },
    Die {
        worker: usize,
    },
    Cancel,
    ReadBeforeRedrive,
    Redrive,
    ReadDue,
    Sweep {
        backlog: bool,
    },
    Wait {
        seconds: u32,
    },
    LoseMessage {
        message: usize,
    },
    DuplicateMessage {
        message: usize,
    },
}

/// How far each clock is off, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Skews {
    pub(crate) workers: [i64; 2],
    pub(crate) sweeper: i64,
    pub(crate) people: i64,
}

/// Up to eighty steps.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let worker = 0..2usize;
    let message = 0..8usize;
    let end = prop_oneof![
        Just(End::Result),
        Just(End::Permanent),
        Just(End::Transient),
        Just(End::Timeout),
        Just(End::Throttled),
        Just(End::Interrupted),
        Just(End::Lost),
    ];
    let step = prop_oneof![
        6 => (worker.clone(), message.clone(), any::<bool>())
            .prop_map(|(worker, message, has_room)| Step::Deliver { worker, message, has_room }),
        4 => (worker.clone(), end).prop_map(|(worker, end)| Step::Finish { worker, end }),
        1 => worker.clone().prop_map(|worker| Step::Renew { worker }),
        2 => worker.prop_map(|worker| Step::Die { worker }),
        1 => Just(Step::Cancel),
        1 => Just(Step::ReadBeforeRedrive),
        2 => Just(Step::Redrive),
        2 => Just(Step::ReadDue),
        3 => any::<bool>().prop_map(|backlog| Step::Sweep { backlog }),
        4 => (1..1_200u32).prop_map(|seconds| Step::Wait { seconds }),
        1 => message.clone().prop_map(|message| Step::LoseMessage { message }),
        1 => message.prop_map(|message| Step::DuplicateMessage { message }),
    ];
    prop::collection::vec(step, 1..80)
}

/// Clocks that are right, or at most ten minutes off.
pub(crate) fn skews() -> impl Strategy<Value = Skews> {
    let skew = || prop_oneof![Just(0), Just(-600), Just(600), -600..600i64];
    ([skew(), skew()], skew(), skew()).prop_map(|(workers, sweeper, people)| Skews {
        workers,
        sweeper,
        people,
    })
}

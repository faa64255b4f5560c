//! What may happen to a task, and how it is drawn.

use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Result,
    Permanent,
    Transient,
    Timeout,
    Throttled,
}

/// One step of someone. Whoever reads first and writes later does so in two steps: others come in between.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Deliver {
        worker: usize,
        message: usize,
        alone: bool,
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
    LookToRedrive,
    Redrive,
    LookForOverdue,
    Tend {
        backlog: bool,
    },
    Wait {
        seconds: u32,
    },
    LoseMessage {
        message: usize,
    },
    DoubleMessage {
        message: usize,
    },
}

/// Everyone's clock is off by a number of seconds of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Skews {
    pub(crate) workers: [i64; 2],
    pub(crate) janitor: i64,
    pub(crate) people: i64,
}

/// A life of up to eighty steps.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let worker = 0..2usize;
    let message = 0..8usize;
    let end = prop_oneof![
        Just(End::Result),
        Just(End::Permanent),
        Just(End::Transient),
        Just(End::Timeout),
        Just(End::Throttled),
    ];
    let step = prop_oneof![
        6 => (worker.clone(), message.clone(), any::<bool>())
            .prop_map(|(worker, message, alone)| Step::Deliver { worker, message, alone }),
        4 => (worker.clone(), end).prop_map(|(worker, end)| Step::Finish { worker, end }),
        1 => worker.clone().prop_map(|worker| Step::Renew { worker }),
        2 => worker.prop_map(|worker| Step::Die { worker }),
        1 => Just(Step::Cancel),
        1 => Just(Step::LookToRedrive),
        2 => Just(Step::Redrive),
        2 => Just(Step::LookForOverdue),
        3 => any::<bool>().prop_map(|backlog| Step::Tend { backlog }),
        4 => (1..1_200u32).prop_map(|seconds| Step::Wait { seconds }),
        1 => message.clone().prop_map(|message| Step::LoseMessage { message }),
        1 => message.prop_map(|message| Step::DoubleMessage { message }),
    ];
    prop::collection::vec(step, 1..80)
}

/// Clocks that are right, or ten minutes off at most.
pub(crate) fn skews() -> impl Strategy<Value = Skews> {
    let skew = || prop_oneof![Just(0), Just(-600), Just(600), -600..600i64];
    ([skew(), skew()], skew(), skew()).prop_map(|(workers, janitor, people)| Skews {
        workers,
        janitor,
        people,
    })
}

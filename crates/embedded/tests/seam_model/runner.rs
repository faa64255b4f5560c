//! A runner whose attempts end as the steps say.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};

use mesh_task::{ErrorCode, RunError, RunOutput, Summary, TaskId, TaskResult, testing};
use mesh_worker::{Job, Runner, Stop};

use crate::process::{Process, lock};
use crate::steps::{End, RECEIVED};

/// How long a result is that is stored as a payload.
const LARGE: usize = 40_000;

/// What became of an attempt in a runner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempted {
    pub(crate) end: End,
    /// Whether its run began with other jobs beside it.
    pub(crate) is_shared: bool,
}

/// The attempts that reached a runner, by task and fence.
pub(crate) type Attempts = HashMap<(TaskId, u64), Attempted>;

pub(crate) struct Scripted {
    pub(crate) process: Arc<Process>,
    /// How the attempts of the batch end, in the order in which they run.
    pub(crate) ends: [End; RECEIVED],
    pub(crate) attempts: Arc<Mutex<Attempts>>,
}

impl Runner for Scripted {
    const READS_OBJECTS: bool = false;

    fn run(&self, jobs: &[Job], _: &Stop) -> Vec<Result<RunOutput, RunError>> {
        let ends = jobs.iter().zip(self.ends.iter().cycle()).map(|(job, end)| {
            let attempted = Attempted {
                end: *end,
                is_shared: jobs.len() > 1,
            };
            // A job that runs again by itself ends as it did before.
            let key = (job.task.id, job.task.fence);
            lock(&self.attempts).entry(key).or_insert(attempted).end
        });
        let ends: Vec<_> = ends.collect();
        if ends.contains(&End::Crash) {
            self.process.crash();
            return Vec::new();
        }
        if ends.contains(&End::Panic) {
            // Without the panic hook, which would print a thousand of them.
            resume_unwind(Box::new("a planned panic"));
        }
        ends.into_iter().map(outcome).collect()
    }
}

fn outcome(end: End) -> Result<RunOutput, RunError> {
    match end {
        End::Result => Ok(testing::run_output()),
        End::LargeResult => Ok(RunOutput {
            result: TaskResult::Summary(Summary {
                summary: "a".repeat(LARGE),
                sentences: Vec::new(),
            }),
            ..testing::run_output()
        }),
        End::Permanent => Err(RunError::permanent(ErrorCode::InvalidInput, "planned")),
        End::Transient | End::Panic => Err(RunError::transient(ErrorCode::InferenceFailed, "planned")),
        End::Timeout => Err(RunError::timeout()),
        End::Throttled => Err(RunError::throttled(ErrorCode::ProviderThrottled, "planned", None)),
        End::Lost | End::Crash => Err(RunError::crashed()),
    }
}

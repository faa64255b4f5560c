//! Runs jobs on a thread that may block. Neither a panic nor a run that ignores its deadline stops the worker's loop.
//!
//! While jobs run, their claims are renewed. A claim that cannot be renewed is lost: its task was cancelled, or reclaimed after
//! a pause. When all claims of a run are lost, the run is stopped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mesh_task::{ErrorCode, RunError, RunErrorClass, RunOutput, Task};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::delivery::Disposition;
use crate::{Invocation, Job, Runner, Stop};

type Outcomes = Vec<Result<RunOutput, RunError>>;

/// How an attempt ended.
#[derive(Debug, PartialEq)]
pub(crate) enum AttemptEnd {
    /// The run reported an outcome, which is to be written.
    Reported(Result<RunOutput, RunError>),
    /// The task is no longer this worker's. Nothing is written; the value says whether the message is deleted or retained.
    ClaimLost(Disposition),
}

/// Jobs that run as one batch.
///
/// A job may run until its task's own timeout, or until the invocation's work must end. When one job reaches its deadline, the
/// whole run is stopped, and the jobs that have time left run again in the next round.
///
/// A deadline spends an attempt only of a job that was the only one from the start. Beside others, any of them may have used
/// the time, so a job that was stopped ends as interrupted: it is not spent, and runs isolated next.
#[derive(Debug)]
pub(crate) struct Run<T> {
    unfinished: Vec<RunningJob<T>>,
    /// Whether the run began with several jobs.
    is_shared: bool,
    grace: Duration,
    ignored_stop: bool,
}

/// A job with what its caller needs when it ends.
#[derive(Debug)]
struct RunningJob<T> {
    context: T,
    job: Job,
    deadline: Instant,
    /// What becomes of the message once the claim is lost; `None` while this worker owns the claim.
    claim_lost: Option<Disposition>,
}

impl<T> Run<T> {
    pub(crate) fn new(jobs: Vec<(T, Job)>, invocation: Invocation) -> Self {
        let begun = Instant::now();
        let deadline = |job: &Job| {
            let timeout = job
                .task
                .timeout_seconds
                .map(|seconds| begun + Duration::from_secs(seconds.into()));
            timeout.map_or(invocation.work_until(), |timeout| {
                timeout.min(invocation.work_until())
            })
        };
        let unfinished: Vec<_> = jobs
            .into_iter()
            .map(|(context, job)| RunningJob {
                deadline: deadline(&job),
                context,
                job,
                claim_lost: None,
            })
            .collect();
        Self {
            is_shared: unfinished.len() > 1,
            unfinished,
            grace: invocation.grace(),
            ignored_stop: false,
        }
    }

    /// Whether every job has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// Whether the runner ignored its stop. Its thread still runs, and only the end of the process ends it.
    pub(crate) fn ignored_stop(&self) -> bool {
        self.ignored_stop
    }

    /// Runs the unfinished jobs until the first of their deadlines. Returns those that ended, which may be none.
    ///
    /// `renew` is called for each task once per `period`. It returns what becomes of the message when the claim is lost.
    pub(crate) async fn next_round<R: Runner>(
        &mut self,
        runner: &Arc<R>,
        period: Duration,
        renew: impl AsyncFn(&Task) -> Option<Disposition>,
    ) -> Vec<(T, AttemptEnd)> {
        let Some(deadline) = self.unfinished.iter().map(|running| running.deadline).min() else {
            return Vec::new();
        };
        let jobs: Vec<_> = self
            .unfinished
            .iter()
            .map(|running| running.job.clone())
            .collect();
        let stop = Stop::default();
        let mut run = tokio::task::spawn_blocking({
            let (runner, stop) = (Arc::clone(runner), stop.clone());
            move || run_batch(&*runner, &jobs, &stop)
        });
        let returned = tokio::select! {
            returned = &mut run => Some(returned),
            () = sleep_until(deadline) => None,
            () = renew_claims(&mut self.unfinished, period, renew) => None,
        };
        let was_stopped = returned.is_none();
        let returned = match returned {
            Some(returned) => Some(returned),
            None => {
                stop.trigger();
                timeout(self.grace, run).await.ok()
            }
        };
        self.ignored_stop = returned.is_none();
        let outcomes = match returned {
            Some(Ok(outcomes)) => outcomes,
            // Panics are caught, so only a failure of the runtime ends the thread.
            Some(Err(error)) => fail_all(self.unfinished.len(), &run_failed(&error.to_string())),
            None => fail_all(self.unfinished.len(), &RunError::timeout()),
        };
        let now = Instant::now();
        let (mut ended, mut unfinished) = (Vec::new(), Vec::new());
        for (running, outcome) in self.unfinished.drain(..).zip(outcomes) {
            let timed_out = matches!(&outcome, Err(error) if error.class == RunErrorClass::Timeout);
            let has_time = was_stopped && !self.ignored_stop && now < running.deadline;
            match running.claim_lost {
                Some(disposition) => ended.push((running.context, AttemptEnd::ClaimLost(disposition))),
                None if timed_out && has_time => unfinished.push(running),
                None if timed_out && self.is_shared => {
                    ended.push((
                        running.context,
                        AttemptEnd::Reported(Err(RunError::interrupted())),
                    ));
                }
                None => ended.push((running.context, AttemptEnd::Reported(outcome))),
            }
        }
        self.unfinished = unfinished;
        ended
    }
}

/// Renews the claims once per period. Returns when all of them are lost.
async fn renew_claims<T>(
    jobs: &mut [RunningJob<T>],
    period: Duration,
    renew: impl AsyncFn(&Task) -> Option<Disposition>,
) {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while jobs.iter().any(|running| running.claim_lost.is_none()) {
        ticks.tick().await;
        let claimed = jobs.iter_mut().filter(|running| running.claim_lost.is_none());
        join_all(claimed.map(async |running| running.claim_lost = renew(&running.job.task).await)).await;
    }
}

/// Runs the jobs as one batch. Those that fail in a way for which another job may be the reason run again one by one, so that
/// only the job at fault fails.
fn run_batch<R: Runner>(runner: &R, jobs: &[Job], stop: &Stop) -> Outcomes {
    let mut outcomes = run_catching_panics(runner, jobs, stop);
    if jobs.len() == 1 {
        return outcomes;
    }
    for (job, outcome) in jobs.iter().zip(&mut outcomes) {
        let is_shared = matches!(
            outcome,
            Err(error) if matches!(error.code, ErrorCode::Panic | ErrorCode::InferenceFailed)
        );
        if is_shared && let Some(own) = run_catching_panics(runner, slice::from_ref(job), stop).pop() {
            *outcome = own;
        }
    }
    outcomes
}

/// Runs the jobs in one call of the runner, and returns an outcome for each. A panic fails them all.
pub fn run_catching_panics<R: Runner>(runner: &R, jobs: &[Job], stop: &Stop) -> Outcomes {
    match catch_unwind(AssertUnwindSafe(|| runner.run(jobs, stop))) {
        Ok(outcomes) if outcomes.len() == jobs.len() => outcomes,
        Ok(outcomes) => {
            let reason = format!(
                "the runner returned {} outcomes for {} jobs",
                outcomes.len(),
                jobs.len()
            );
            fail_all(jobs.len(), &run_failed(&reason))
        }
        Err(panic) => {
            // The panic hook logs where it happened. The message may quote the input, so only the task shows it.
            tracing::error!(event = "run_panicked", jobs = jobs.len(), "a run panicked");
            let message = format!(
                "the input made the worker panic ({}): please report it with the input",
                panic_message(&*panic)
            );
            fail_all(jobs.len(), &RunError::permanent(ErrorCode::Panic, message))
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// The outcome of jobs whose run returned no outcome. The reason is logged, not shown to the client.
fn run_failed(reason: &str) -> RunError {
    tracing::error!(event = "run_failed", reason, "a run failed");
    RunError::transient(
        ErrorCode::InferenceFailed,
        "the worker could not run the task: see the worker's log for the reason",
    )
}

fn fail_all(count: usize, error: &RunError) -> Outcomes {
    vec![Err(error.clone()); count]
}

#[cfg(test)]
mod tests;

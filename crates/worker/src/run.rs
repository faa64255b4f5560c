//! Runs jobs off the async threads, contained: no panic and no overrun leaves here.
//!
//! While they run, their claims are renewed. A claim that can't be is not the worker's any more: its task was cancelled,
//! or taken over after a pause. When that is so of all of them, the run is stopped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mesh_task::{RunError, RunErrorClass, RunOutput, Task, code};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::delivery::Answer;
use crate::{Invocation, Job, Runner, Stop};

type Outcomes = Vec<Result<RunOutput, RunError>>;

/// How a task's run ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// With an outcome that is to be written.
    Own(Result<RunOutput, RunError>),
    /// The task is no longer the worker's; what is left of its message.
    Lost(Answer),
}

/// Jobs that are run as one. A job has until its own timeout, or until the invocation's work must end. Where one is cut off
/// before the others are at their end, these run again: that costs them time, and no attempt.
#[derive(Debug)]
pub(crate) struct Run<T> {
    open: Vec<Running<T>>,
    grace: Duration,
    overran: bool,
}

/// One job on its way, and what its caller knows of it.
#[derive(Debug)]
struct Running<T> {
    known: T,
    job: Job,
    deadline: Instant,
    end: Option<End>,
}

impl<T> Run<T> {
    pub(crate) fn of(jobs: Vec<(T, Job)>, invocation: &Invocation) -> Self {
        let begun = Instant::now();
        let deadline = |job: &Job| {
            let own = job
                .task
                .timeout_seconds
                .map(|seconds| begun + Duration::from_secs(seconds.into()));
            own.map_or(invocation.work_until(), |own| own.min(invocation.work_until()))
        };
        let open = jobs.into_iter().map(|(known, job)| Running {
            deadline: deadline(&job),
            known,
            job,
            end: None,
        });
        Self {
            open: open.collect(),
            grace: invocation.grace(),
            overran: false,
        }
    }

    /// Whether jobs are left to run.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether the run did not heed its stop: its thread goes on, and only the process's end will end it.
    pub(crate) fn overran(&self) -> bool {
        self.overran
    }

    /// Runs the open jobs until the first of their deadlines, and returns those that are at their end, which may be none.
    /// `renew` is called for each task once a `period`; it answers only when the task is no longer the worker's.
    pub(crate) async fn round<R: Runner>(
        &mut self,
        runner: &Arc<R>,
        period: Duration,
        renew: impl AsyncFn(&Task) -> Option<Answer>,
    ) -> Vec<(T, End)> {
        let Some(until) = self.open.iter().map(|one| one.deadline).min() else {
            return Vec::new();
        };
        let jobs: Vec<_> = self.open.iter().map(|one| one.job.clone()).collect();
        let stop = Stop::default();
        let mut run = tokio::task::spawn_blocking({
            let (runner, stop) = (Arc::clone(runner), stop.clone());
            move || contained(&*runner, &jobs, &stop)
        });
        let ended = tokio::select! {
            ended = &mut run => Some(ended),
            () = sleep_until(until) => None,
            () = hold_on(&mut self.open, period, renew) => None,
        };
        let was_stopped = ended.is_none();
        let ended = match ended {
            Some(ended) => Some(ended),
            None => {
                stop.trigger();
                timeout(self.grace, run).await.ok()
            }
        };
        self.overran = ended.is_none();
        let outcomes = match ended {
            Some(Ok(outcomes)) => outcomes,
            // The thread itself is gone, which the containment rules out but for a failure of the runtime's own.
            Some(Err(error)) => all(self.open.len(), &unfinished(&error.to_string())),
            None => all(self.open.len(), &RunError::timeout()),
        };
        let now = Instant::now();
        let (mut ends, mut open) = (Vec::new(), Vec::new());
        for (mut one, outcome) in self.open.drain(..).zip(outcomes) {
            let was_cut = matches!(&outcome, Err(error) if error.class == RunErrorClass::Timeout);
            let has_time = was_stopped && !self.overran && now < one.deadline;
            match one.end.take() {
                Some(end) => ends.push((one.known, end)),
                None if was_cut && has_time => open.push(one),
                None => ends.push((one.known, End::Own(outcome))),
            }
        }
        self.open = open;
        ends
    }
}

/// Renews the claims once a period, for as long as one of them is the worker's.
async fn hold_on<T>(
    running: &mut [Running<T>],
    period: Duration,
    renew: impl AsyncFn(&Task) -> Option<Answer>,
) {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while running.iter().any(|one| one.end.is_none()) {
        ticks.tick().await;
        let open = running.iter_mut().filter(|one| one.end.is_none());
        join_all(open.map(async |one| one.end = renew(&one.job.task).await.map(End::Lost))).await;
    }
}

/// Runs the jobs as one, and if that panics one by one: the task whose input is at fault fails, and it alone.
fn contained<R: Runner>(runner: &R, jobs: &[Job], stop: &Stop) -> Outcomes {
    match catch_unwind(AssertUnwindSafe(|| runner.run(jobs, stop))) {
        Ok(outcomes) if outcomes.len() == jobs.len() => outcomes,
        Ok(outcomes) => all(
            jobs.len(),
            &unfinished(&format!("{} outcomes for {} jobs", outcomes.len(), jobs.len())),
        ),
        Err(_) if jobs.len() > 1 => {
            tracing::warn!(
                jobs = jobs.len(),
                "a batch panicked; its tasks are run one by one"
            );
            jobs.chunks(1)
                .flat_map(|job| contained(runner, job, stop))
                .collect()
        }
        Err(panic) => {
            // The log has where; the message may quote the input, and so is for the task alone.
            let message = panic_message(&*panic);
            tracing::error!("a task panicked");
            let told =
                format!("the input made the worker panic ({message}): please report it with the input");
            all(jobs.len(), &RunError::permanent(code::PANIC, told))
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn unfinished(why: &str) -> RunError {
    tracing::error!(why, "a run did not end as it should");
    RunError::transient(
        code::INFERENCE_FAILED,
        "the run did not end as it should; it is tried again",
    )
}

fn all(count: usize, error: &RunError) -> Outcomes {
    vec![Err(error.clone()); count]
}

#[cfg(test)]
mod tests;

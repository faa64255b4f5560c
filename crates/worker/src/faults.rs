//! Faults on demand, for tests: compiled in by a feature and asleep unless `AI_MESH_FAULTS` is `on`.
//!
//! A task asks for its fault by its metadata's `fault`:
//! - `transient:N`: the attempts up to number N fail, the next one runs,
//! - `panic`: its run panics,
//! - `abort`: its run takes the process along,
//! - `hang`: its run ends when it is stopped,
//! - `deaf`: its run does not end even then.

use std::sync::mpsc;

use mesh_task::{RunError, TaskResult};

use crate::{Job, Runner, Stop};

/// A runner that fails as its jobs ask.
#[derive(Debug)]
pub(crate) struct Faulty<R> {
    runner: R,
    awake: bool,
}

impl<R> Faulty<R> {
    pub(crate) fn new(runner: R) -> Self {
        let awake = std::env::var("AI_MESH_FAULTS").is_ok_and(|value| value == "on");
        if awake {
            tracing::warn!("AI_MESH_FAULTS is on: tasks may ask to fail");
        }
        Self { runner, awake }
    }
}

impl<R: Runner> Runner for Faulty<R> {
    const READS_OBJECTS: bool = R::READS_OBJECTS;

    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<TaskResult, RunError>> {
        if !self.awake {
            return self.runner.run(jobs, stop);
        }
        let faults: Vec<_> = jobs.iter().map(|job| strike(job, stop)).collect();
        let spared = jobs
            .iter()
            .zip(&faults)
            .filter(|(_, fault)| fault.is_none())
            .map(|(job, _)| job.clone());
        let mut outcomes = self.runner.run(&spared.collect::<Vec<_>>(), stop).into_iter();
        let outcome = |fault: Option<RunError>| match fault {
            Some(error) => Err(error),
            None => outcomes.next().expect("a runner answers for each job"),
        };
        faults.into_iter().map(outcome).collect()
    }
}

fn strike(job: &Job, stop: &Stop) -> Option<RunError> {
    let fault = job.task.metadata.get("fault")?;
    match fault.split_once(':').unwrap_or((fault, "")) {
        ("transient", attempts) => {
            let until: u32 = attempts.parse().unwrap_or(u32::MAX);
            let told = format!("attempt {} fails as the task asked", job.task.attempt);
            (job.task.attempt <= until).then(|| RunError::transient("fault", told))
        }
        ("panic", _) => panic!("the task asked for a panic"),
        ("abort", _) => std::process::abort(),
        ("hang", _) => {
            let (told, heard) = mpsc::channel::<()>();
            stop.on_trigger(move || drop(told));
            // Nothing is ever sent: the stop drops the sender, and that ends the wait.
            heard.recv().is_err().then(RunError::timeout)
        }
        ("deaf", _) => loop {
            std::thread::park();
        },
        _ => None,
    }
}

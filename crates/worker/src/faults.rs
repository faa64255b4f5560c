//! Faults on demand, for tests: compiled in by a feature and asleep unless `AI_MESH_FAULTS` is `on`.
//!
//! A task asks for its fault by its metadata's `fault`:
//! - `transient:N`: the attempts up to number N fail, the next one runs,
//! - `panic`: its run panics,
//! - `abort`: its run takes the process along,
//! - `hang`: its run ends when it is stopped,
//! - `deaf`: its run does not end even then,
//! - `slow:MILLISECONDS`: its run takes as much longer, unless it is stopped,
//! - `stall:MILLISECONDS`: its first run takes as much longer, and its lease is not renewed meanwhile, as if the process
//!   were frozen; the second takes as much longer, and is renewed,
//! - `throttle:N`: the first N runs are turned away as too many,
//! - `busy:SECONDS`: its first run is turned away and told to come back after that time,
//! - `faces:N`: it answers with that many faces,
//! - `call:FAULTS`: calls to AWS fail while its end is written, in the words of `mesh_aws::faults`.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use mesh_task::{BoundingBox, Face, FaceDetection, ModelName, Point, RunError, RunOutput, Task, TaskResult};

use crate::{Job, Runner, Stop};

/// A runner that fails as its jobs ask.
#[derive(Debug)]
pub(crate) struct Faulty<R> {
    runner: R,
    awake: bool,
}

impl<R> Faulty<R> {
    pub(crate) fn new(runner: R) -> Self {
        let awake = mesh_aws::faults::enabled();
        if awake {
            tracing::warn!("AI_MESH_FAULTS is on: tasks may ask to fail");
        }
        Self { runner, awake }
    }
}

impl<R: Runner> Runner for Faulty<R> {
    const READS_OBJECTS: bool = R::READS_OBJECTS;

    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
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
        let outcome = |fault: Option<Result<RunOutput, RunError>>| {
            fault.unwrap_or_else(|| outcomes.next().expect("a runner answers for each job"))
        };
        faults.into_iter().map(outcome).collect()
    }
}

/// Whether the task's process plays dead while it runs.
pub(crate) fn is_stalled(task: &Task) -> bool {
    let stalls = |fault: &String| fault.starts_with("stall:");
    mesh_aws::faults::enabled() && task.attempt == 1 && task.metadata.get("fault").is_some_and(stalls)
}

/// Writes a task's end with the calls failing that it asks for.
pub(crate) async fn around<F: Future>(task: &Task, settling: F) -> F::Output {
    match task
        .metadata
        .get("fault")
        .and_then(|fault| fault.strip_prefix("call:"))
    {
        Some(faults) => mesh_aws::faults::scope(faults, settling).await,
        None => settling.await,
    }
}

fn strike(job: &Job, stop: &Stop) -> Option<Result<RunOutput, RunError>> {
    let fault = job.task.metadata.get("fault")?;
    let (fault, number) = fault.split_once(':').unwrap_or((fault, ""));
    let number: u32 = number.parse().unwrap_or(u32::MAX);
    let attempt = job.task.attempt;
    match fault {
        "transient" => {
            let told = format!("attempt {attempt} fails as the task asked");
            (attempt <= number).then(|| Err(RunError::transient("fault", told)))
        }
        "throttle" => (job.task.throttles < number).then(|| {
            Err(RunError::throttled(
                "fault",
                "turned away as the task asked",
                None,
            ))
        }),
        "busy" => (job.task.throttles == 0).then(|| {
            let after = Duration::from_secs(number.into());
            Err(RunError::throttled(
                "fault",
                "busy as the task asked",
                Some(after),
            ))
        }),
        "panic" => panic!("the task asked for a panic"),
        "abort" => std::process::abort(),
        "hang" => {
            wait(stop, None);
            Some(Err(RunError::timeout()))
        }
        "deaf" => loop {
            std::thread::park();
        },
        "slow" => wait(stop, Some(Duration::from_millis(number.into()))).then(|| Err(RunError::timeout())),
        "stall" if attempt <= 2 => {
            let longer = Duration::from_millis(number.into());
            wait(stop, Some(longer)).then(|| Err(RunError::timeout()))
        }
        "faces" => Some(Ok(faces(number as usize))),
        _ => None,
    }
}

/// Waits for the stop, but no longer than that; true if it came.
fn wait(stop: &Stop, longest: Option<Duration>) -> bool {
    let (told, heard) = mpsc::channel::<()>();
    stop.on_trigger(move || drop(told));
    // Nothing is ever sent: the stop drops the sender, and that ends the wait.
    match longest {
        Some(longest) => heard.recv_timeout(longest) == Err(RecvTimeoutError::Disconnected),
        None => heard.recv().is_err(),
    }
}

fn faces(count: usize) -> RunOutput {
    let bounds = BoundingBox {
        x: 1.5,
        y: 2.5,
        width: 3.5,
        height: 4.5,
    };
    let face = Face {
        bounds,
        score: 0.5,
        landmarks: [Point { x: 2.5, y: 3.5 }; 5],
    };
    RunOutput {
        result: TaskResult::FaceDetection(FaceDetection {
            count,
            faces: vec![face; count],
        }),
        model: ModelName {
            name: "fault".to_owned(),
            version: String::new(),
        },
        load: Duration::ZERO,
        inference: Duration::ZERO,
        usage: None,
    }
}

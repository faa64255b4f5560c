//! Errors that tests inject into a task's run. A feature compiles them in, and they do nothing unless `AI_MESH_FAULTS` is `on`.
//!
//! A task's metadata `fault` names its fault:
//!
//! | fault | effect |
//! | --- | --- |
//! | `none` | none |
//! | `transient:N` | the attempts up to number N fail |
//! | `throttle:N` | the first N runs are throttled |
//! | `busy:SECONDS` | the first run is throttled, with this time as `retry_after` |
//! | `panic` | the run panics |
//! | `abort` | the process aborts |
//! | `hang` | the run ends only when it is stopped |
//! | `deaf` | the run never ends |
//! | `slow:MILLISECONDS` | the run takes this much longer, unless it is stopped |
//! | `stall:MILLISECONDS` | as if the process froze: the first claim's run takes this much longer, and its lease is not renewed; the second takes as much longer, and its lease is renewed |
//! | `faces:N` | the result has N faces |
//! | `call:FAULTS` | with the feature `aws-faults`, calls to AWS fail while the attempt's end is written, as `mesh_aws::faults` specifies |
//!
//! Any other text panics, so that a misspelt fault cannot pass as a test of no fault.

use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use mesh_task::{
    BoundingBox, ErrorCode, Face, FaceDetection, ModelName, Point, RunError, RunOutput, Task, TaskResult,
};

use crate::{Job, Runner, Stop};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    None,
    Transient(u32),
    Throttle(u32),
    Busy(Duration),
    Panic,
    Abort,
    Hang,
    Deaf,
    Slow(Duration),
    Stall(Duration),
    Faces(usize),
    #[cfg(feature = "aws-faults")]
    Call(String),
}

/// A text that is not a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InvalidFault(String);

impl std::fmt::Display for InvalidFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = &self.0;
        write!(
            f,
            "`{text}` is not a fault: expected none, transient:N, throttle:N, busy:SECONDS, panic, abort, hang, deaf, \
             slow:MILLISECONDS, stall:MILLISECONDS, faces:N or, on AWS, call:FAULTS"
        )
    }
}

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        fn number<T: FromStr>(text: &str) -> Option<T> {
            text.parse().ok()
        }
        let milliseconds = |text| number(text).map(Duration::from_millis);
        let fault = match text.split_once(':') {
            None => match text {
                "none" => Some(Self::None),
                "panic" => Some(Self::Panic),
                "abort" => Some(Self::Abort),
                "hang" => Some(Self::Hang),
                "deaf" => Some(Self::Deaf),
                _ => None,
            },
            Some((kind, value)) => match kind {
                "transient" => number(value).map(Self::Transient),
                "throttle" => number(value).map(Self::Throttle),
                "busy" => number(value).map(Duration::from_secs).map(Self::Busy),
                "slow" => milliseconds(value).map(Self::Slow),
                "stall" => milliseconds(value).map(Self::Stall),
                "faces" => number(value).map(Self::Faces),
                #[cfg(feature = "aws-faults")]
                "call" => Some(Self::Call(value.to_owned())),
                _ => None,
            },
        };
        fault.ok_or_else(|| InvalidFault(text.to_owned()))
    }
}

impl Fault {
    /// The fault that the task's metadata names.
    fn from_task(task: &Task) -> Result<Self, InvalidFault> {
        let text = task.metadata.get("fault");
        text.map_or(Ok(Self::None), |text| text.parse())
    }
}

/// A runner that injects the faults of its jobs.
#[derive(Debug)]
pub struct Faulty<R> {
    runner: R,
    enabled: bool,
}

impl<R> Faulty<R> {
    pub fn new(runner: R) -> Self {
        warn_if_enabled();
        Self {
            runner,
            enabled: enabled(),
        }
    }
}

/// Logs that this process injects faults, if it does.
pub fn warn_if_enabled() {
    if enabled() {
        tracing::warn!(
            event = "faults_enabled",
            "AI_MESH_FAULTS is on: tasks can inject errors"
        );
    }
}

/// Whether this process injects faults.
fn enabled() -> bool {
    std::env::var("AI_MESH_FAULTS").is_ok_and(|value| value == "on")
}

/// The task's fault, outside of its run. [`Runner::run`] has panicked for a text that is not one.
fn fault(task: &Task) -> Fault {
    let fault = enabled().then(|| Fault::from_task(task).ok()).flatten();
    fault.unwrap_or(Fault::None)
}

/// Whether the worker renews the lease of a running task. A host whose runner only passes jobs on to a [`Faulty`] one in another
/// process calls it itself.
pub fn renews_lease(task: &Task) -> bool {
    task.history.len() != 1 || !matches!(fault(task), Fault::Stall(_))
}

impl<R: Runner> Runner for Faulty<R> {
    const READS_OBJECTS: bool = R::READS_OBJECTS;

    fn run(&self, jobs: &[Job], stop: &Stop) -> Vec<Result<RunOutput, RunError>> {
        if !self.enabled {
            return self.runner.run(jobs, stop);
        }
        let injected: Vec<_> = jobs.iter().map(|job| inject(&job.task, stop)).collect();
        let others = jobs
            .iter()
            .zip(&injected)
            .filter(|(_, injected)| injected.is_none())
            .map(|(job, _)| job.clone());
        let mut outcomes = self.runner.run(&others.collect::<Vec<_>>(), stop).into_iter();
        let outcome = |injected: Option<Result<RunOutput, RunError>>| {
            injected.unwrap_or_else(|| outcomes.next().expect("a runner returns an outcome for each job"))
        };
        injected.into_iter().map(outcome).collect()
    }

    fn renews_lease(&self, task: &Task) -> bool {
        renews_lease(task)
    }

    #[cfg(feature = "aws-faults")]
    async fn wrap_settle<F: Future + Send>(&self, task: &Task, settle: F) -> F::Output {
        match fault(task) {
            Fault::Call(faults) => mesh_aws::faults::scope(&faults, settle).await,
            _ => settle.await,
        }
    }
}

/// The outcome that the task's fault decides; `None` if the task is to be run.
fn inject(task: &Task, stop: &Stop) -> Option<Result<RunOutput, RunError>> {
    let fault = Fault::from_task(task).unwrap_or_else(|error| panic!("{error}"));
    let attempt = task.attempt;
    let throttled = |retry_after| {
        Some(Err(RunError::throttled(
            ErrorCode::Fault,
            "an injected fault throttled the attempt",
            retry_after,
        )))
    };
    let slow = |time| wait(stop, Some(time)).then(|| Err(RunError::timeout()));
    match fault {
        Fault::Transient(last) if attempt <= last => {
            let message = format!("an injected fault failed attempt {attempt}");
            Some(Err(RunError::transient(ErrorCode::Fault, message)))
        }
        Fault::Throttle(times) if task.throttles < times => throttled(None),
        Fault::Busy(time) if task.throttles == 0 => throttled(Some(time)),
        Fault::Panic => panic!("an injected fault panics"),
        Fault::Abort => std::process::abort(),
        Fault::Hang => {
            wait(stop, None);
            Some(Err(RunError::timeout()))
        }
        Fault::Deaf => loop {
            std::thread::park();
        },
        Fault::Slow(time) => slow(time),
        Fault::Stall(time) if task.history.len() <= 2 => slow(time),
        Fault::Faces(count) => Some(Ok(faces(count))),
        Fault::None | Fault::Transient(_) | Fault::Throttle(_) | Fault::Busy(_) | Fault::Stall(_) => None,
        #[cfg(feature = "aws-faults")]
        Fault::Call(_) => None,
    }
}

/// Waits for the stop, but no longer than `longest`. Returns whether the stop was triggered.
fn wait(stop: &Stop, longest: Option<Duration>) -> bool {
    let (sender, receiver) = mpsc::channel::<()>();
    stop.on_trigger(move || drop(sender));
    // Nothing is ever sent. The stop drops the sender, which ends the wait.
    match longest {
        Some(longest) => receiver.recv_timeout(longest) == Err(RecvTimeoutError::Disconnected),
        None => receiver.recv().is_err(),
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

#[cfg(test)]
mod tests {
    use mesh_task::testing;

    use super::*;

    fn task_with(fault: &str) -> Task {
        let mut task = testing::task();
        task.metadata.insert("fault".to_owned(), fault.to_owned());
        task.attempt = 1;
        task
    }

    #[test]
    fn every_fault_is_parsed() {
        for (text, fault) in [
            ("none", Fault::None),
            ("transient:2", Fault::Transient(2)),
            ("throttle:4", Fault::Throttle(4)),
            ("busy:600", Fault::Busy(Duration::from_secs(600))),
            ("panic", Fault::Panic),
            ("abort", Fault::Abort),
            ("hang", Fault::Hang),
            ("deaf", Fault::Deaf),
            ("slow:2500", Fault::Slow(Duration::from_millis(2_500))),
            ("stall:12000", Fault::Stall(Duration::from_secs(12))),
            ("faces:500", Fault::Faces(500)),
            #[cfg(feature = "aws-faults")]
            (
                "call:UpdateItem=resend:0.5",
                Fault::Call("UpdateItem=resend:0.5".to_owned()),
            ),
        ] {
            assert_eq!(text.parse(), Ok(fault));
        }
    }

    #[test]
    fn a_text_that_is_not_a_fault_is_refused() {
        for text in [
            "",
            "trnasient:1",
            "Panic",
            "panic:1",
            "none:",
            "transient",
            "transient:",
            "transient:x",
            "transient:-1",
            "transient:4294967296",
            "slow:2.5",
            "slow: 5",
            "busy",
            "faces:many",
        ] {
            let error = text.parse::<Fault>().unwrap_err();
            assert_eq!(error, InvalidFault(text.to_owned()));
            assert!(error.to_string().contains("expected none, transient:N"));
        }
    }

    #[test]
    #[should_panic(expected = "`trnasient:1` is not a fault")]
    fn a_misspelt_fault_panics_when_its_task_runs() {
        inject(&task_with("trnasient:1"), &Stop::default());
    }

    #[test]
    fn a_transient_fault_ends_with_its_last_attempt() {
        let mut task = task_with("transient:2");
        for (attempt, fails) in [(1, true), (2, true), (3, false)] {
            task.attempt = attempt;
            assert_eq!(inject(&task, &Stop::default()).is_some(), fails, "{attempt}");
        }
        assert_eq!(inject(&testing::task(), &Stop::default()), None);
    }
}

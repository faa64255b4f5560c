//! One child process, as the server sees it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use mesh_task::{RunError, RunOutput, WorkerKind};
use mesh_worker::Job;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{self, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::frame::{self, Answer};
use crate::settings::Settings;

/// How long a model may take to load.
const START_TIME: Duration = Duration::from_secs(60);
/// How long a child may take to react to a stop. It is shorter than the grace of the shortest batch.
const STOP_TIME: Duration = Duration::from_secs(1);
/// How long a child may take to end when it is no longer needed.
const END_TIME: Duration = Duration::from_secs(1);
/// The running program, even if its file was replaced since.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// How a run ended.
#[derive(Debug)]
pub(super) enum Exchange {
    /// The child answered.
    Ended(Vec<Result<RunOutput, RunError>>),
    /// It did not react to its stop, and was killed.
    Killed,
    /// It ended by itself.
    Died,
}

/// A child whose model is loaded. It is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Child {
    worker_kind: WorkerKind,
    process: process::Child,
    answers: OwnedReadHalf,
    orders: OwnedWriteHalf,
}

impl Child {
    /// Starts a child, and waits until its model is loaded.
    pub(super) async fn start(worker_kind: WorkerKind, settings: &Settings) -> io::Result<Self> {
        let (own, other) = StdUnixStream::pair()?;
        own.set_nonblocking(true)?;
        let (answers, orders) = UnixStream::from_std(own)?.into_split();
        let process = command(worker_kind, settings, other)?.spawn()?;
        let mut child = Self {
            worker_kind,
            process,
            answers,
            orders,
        };
        let started = timeout(START_TIME, frame::read_answer(&mut child.answers)).await;
        match started.map_err(|_| io::Error::other("its model did not load in time"))?? {
            Answer::Ready => {
                tracing::info!(
                    event = "child_started",
                    worker = worker_kind.as_str(),
                    pid = child.process.id(),
                    "a process loaded its model"
                );
                Ok(child)
            }
            Answer::NotLoaded(why) => Err(io::Error::other(why)),
            Answer::Ended(_) => Err(io::Error::other("it answered before it was asked")),
        }
    }

    /// Whether the process is there no more.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Runs jobs until they have ended, or until the stop.
    pub(super) async fn run(&mut self, jobs: &[Job], mut stopped: watch::Receiver<bool>) -> Exchange {
        let frame = match frame::run(jobs) {
            Ok(frame) => frame,
            Err(error) => return self.died(&error).await,
        };
        let sent = tokio::select! {
            sent = self.orders.write_all(&frame) => sent,
            // Of half a frame the child makes nothing. The sender of the stop outlives the run.
            _ = stopped.wait_for(|stopped| *stopped) => return Exchange::Killed,
        };
        if let Err(error) = sent {
            return self.died(&error).await;
        }
        let answered = {
            let mut answer = pin!(frame::read_answer(&mut self.answers));
            let in_time = tokio::select! {
                answered = &mut answer => Some(answered),
                _ = stopped.wait_for(|stopped| *stopped) => None,
            };
            match in_time {
                Some(answered) => Ok(answered),
                None => {
                    let stopping = async {
                        self.orders.write_all(&frame::stop()?).await?;
                        answer.await
                    };
                    timeout(STOP_TIME, stopping).await
                }
            }
        };
        match answered {
            Ok(Ok(Answer::Ended(outcomes))) if outcomes.len() == jobs.len() => Exchange::Ended(outcomes),
            Ok(Ok(_)) => self.died(&io::ErrorKind::InvalidData.into()).await,
            Ok(Err(error)) => self.died(&error).await,
            Err(_) => {
                tracing::error!(
                    event = "child_killed",
                    worker = self.worker_kind.as_str(),
                    pid = self.process.id(),
                    "a process ignored its stop and is killed"
                );
                Exchange::Killed
            }
        }
    }

    /// Ends the process. A task that it runs is not answered.
    pub(super) async fn end(self) {
        let Self {
            answers,
            orders,
            mut process,
            worker_kind,
        } = self;
        drop((answers, orders));
        // What does not end by itself is killed when `process` is dropped.
        let pid = process.id();
        let _ = timeout(END_TIME, process.wait()).await;
        tracing::info!(
            event = "child_ended",
            worker = worker_kind.as_str(),
            pid,
            "a process was not needed any more"
        );
    }

    async fn died(&mut self, error: &io::Error) -> Exchange {
        let pid = self.process.id();
        let ended = timeout(END_TIME, self.process.wait()).await;
        let status = ended.ok().and_then(Result::ok).map(|status| status.to_string());
        tracing::error!(
            event = "child_died",
            worker = self.worker_kind.as_str(),
            pid,
            status,
            %error,
            "a process ended while it ran tasks"
        );
        Exchange::Died
    }
}

fn command(worker_kind: WorkerKind, settings: &Settings, socket: StdUnixStream) -> io::Result<Command> {
    let program = match Path::new(OWN_PROGRAM) {
        program if program.exists() => program.to_owned(),
        _ => std::env::current_exe()?,
    };
    let mut command = Command::new(program);
    command
        .arg0(env!("CARGO_PKG_NAME"))
        .args(["child", worker_kind.as_str()])
        .envs(settings.of_child())
        .stdin(Stdio::from(OwnedFd::from(socket)))
        // Ctrl-C in a terminal is for the server, which lets running tasks end.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

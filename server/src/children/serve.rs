//! The child's side: loads a model, and runs the jobs that the server sends.

use std::fmt::Display;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{fs, io, thread};

use mesh_runners::{AudioRunner, ImageRunner, LanguageRunner, TextRunner};
use mesh_task::WorkerKind;
use mesh_worker::{Job, Runner, Stop, run_catching_panics};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::exit;

use super::frame::{self, Answer, Received};
use crate::app::ServeError;
use crate::language::LanguageServer;
use crate::settings::Settings;

/// Linux ends processes with a high value first when memory is short: a child, not the server.
const OOM_SCORE: (&str, &str) = ("/proc/self/oom_score_adj", "500");

type Jobs = (Vec<Job>, Stop);

/// Runs jobs until the server closes the socket, which is this process's standard input.
pub(crate) fn serve(worker_kind: WorkerKind, settings: &Settings) -> Result<(), ServeError> {
    // The server decides when a child ends. Signals to the whole group, as a terminal or systemd sends them, are for the server.
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let (path, score) = OOM_SCORE;
    if let Err(error) = fs::write(path, score) {
        tracing::debug!(event = "oom_score_not_set", %error, "the process is ended like any other when memory is short");
    }
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    // A runner may use the runtime.
    let _entered = runtime.enter();
    let assets = settings.assets();
    match worker_kind {
        WorkerKind::Text => run_all(socket, TextRunner::load(assets)),
        WorkerKind::Image => run_all(socket, ImageRunner::load(assets)),
        WorkerKind::Audio => {
            let variant = settings.speech_model.parse()?;
            run_all(socket, AudioRunner::load(&assets, variant))
        }
        WorkerKind::Language => {
            let runner = LanguageRunner::load(LanguageServer::from_settings(settings));
            run_all(socket, Ok::<_, io::Error>(runner))
        }
    }
}

fn run_all<R: Runner, E: Display>(mut socket: UnixStream, loaded: Result<R, E>) -> Result<(), ServeError> {
    let runner = match loaded {
        Ok(runner) => runner,
        Err(error) => return Ok(frame::answer(&mut socket, &Answer::NotLoaded(error.to_string()))?),
    };
    // All faults but one are the child's. A crash or a hang must hit this process, and the frame tells the attempt's number.
    #[cfg(feature = "faults")]
    let runner = mesh_worker::Faulty::new(runner);
    let orders = socket.try_clone()?;
    let (sender, jobs) = channel();
    thread::spawn(move || read_orders(orders, &sender));
    frame::answer(&mut socket, &Answer::Ready)?;
    answer_all(&runner, &jobs, &mut socket)
}

fn answer_all(
    runner: &impl Runner,
    jobs: &Receiver<Jobs>,
    socket: &mut UnixStream,
) -> Result<(), ServeError> {
    for (jobs, stop) in jobs {
        let outcomes = run_catching_panics(runner, &jobs, &stop);
        frame::answer(socket, &Answer::Ended(outcomes))?;
    }
    Ok(())
}

/// Reads orders until the server closes the socket or has ended. The process ends then, whatever it runs.
fn read_orders(mut socket: UnixStream, jobs: &Sender<Jobs>) {
    let mut running = Stop::default();
    loop {
        match frame::receive(&mut socket) {
            Ok(Received::Run(received)) => {
                running = Stop::default();
                // The receiver lives as long as the process.
                let _ = jobs.send((received, running.clone()));
            }
            Ok(Received::Stop) => running.trigger(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => exit(0),
            Err(error) => {
                tracing::error!(event = "order_unreadable", %error, "the server's order can't be read");
                exit(1);
            }
        }
    }
}

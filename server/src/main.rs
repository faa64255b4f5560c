//! AI Mesh as one process on one machine: the API, the dashboard, the workers, the sweeper and the reactor, on a data folder.
//! Its commands copy and check that folder.

mod app;
mod background;
mod children;
mod connections;
mod copies;
mod guard;
mod language;
mod listen;
mod log;
mod metrics;
mod payloads;
mod router;
mod settings;
mod tls;
mod token;
mod workers;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use signal_hook::consts::SIGXFSZ;
use signal_hook::flag;

use crate::app::ServeError;
use crate::settings::{Cli, Command, Settings};

fn main() -> ExitCode {
    let Cli { settings, command } = Cli::parse();
    settings.log.init(env!("CARGO_CRATE_NAME"));
    // A write beyond a limit on a file's size (`ulimit -f`) fails, and does not end the process.
    if let Err(error) = flag::register(SIGXFSZ, Arc::default()) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let done = match command {
        None => serve(settings),
        Some(Command::Backup { folder }) => copies::backup(&settings.data, &folder),
        Some(Command::Restore { backup }) => copies::restore(&backup, &settings.data),
        Some(Command::Check) => copies::check(&settings.data),
        Some(Command::Child { worker_kind }) => children::serve(worker_kind, &settings),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: Settings) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(app::serve(settings));
    // A worker that still runs ends with the process: its tasks run again after the next start.
    runtime.shutdown_background();
    served
}

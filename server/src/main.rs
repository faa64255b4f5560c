//! AI Mesh as one process on one machine: the API, the dashboard, the workers, the sweeper and the reactor, on a data folder.

mod app;
mod background;
mod language;
mod payloads;
mod settings;
mod token;
mod workers;

use std::process::ExitCode;

use clap::Parser;
use mesh_telemetry::init_logging;

use crate::settings::Settings;

fn main() -> ExitCode {
    init_logging(env!("CARGO_CRATE_NAME"));
    let settings = Settings::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(app::serve(settings));
            // A worker that still runs ends with the process: its tasks run again after the next start.
            runtime.shutdown_background();
            served
        }
        Err(error) => Err(error.into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

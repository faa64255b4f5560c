//! The measurements of `cargo xtask bench`: cold starts, throughput, memory, load and scaling.
//!
//! Machines are noisy, so a measurement compares two systems in one run, and only the ratios are meaningful. The
//! calls, reads and writes of a request are the same on every machine.

mod cases;
mod cold;
mod function;
mod host;
mod load;
mod memory;
mod reads;
mod scaling;
mod tasks;
mod throughput;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args as Arguments, Parser};
use mesh_supervisor::{guard, signals};

#[derive(Debug, Parser)]
enum Command {
    /// Cold starts and throughput.
    Speed {
        #[command(flatten)]
        args: Args,
        /// The Python of bench/requirements.txt.
        #[arg(long)]
        python: PathBuf,
        /// One short round: shows that all of it works, and not how fast.
        #[arg(long)]
        quick: bool,
    },
    /// Starts each function with what the template gives it, to its first request for an invocation.
    Starts(Args),
    /// Peak memory with the largest inputs. Fails unless each function leaves a quarter of its memory free.
    Memory {
        #[command(flatten)]
        args: Args,
        /// Only the cases with this in their name.
        #[arg(long)]
        only: Option<String>,
    },
    /// Calls, reads and capacity of requests, on the stack of the environment variables.
    Reads,
    /// Latency and processor time under load, beside a baseline.
    Load(load::Args),
    /// The number of running workers while a backlog grows and shrinks.
    Scaling(scaling::Args),
}

/// The arguments that `cargo xtask bench` passes.
#[derive(Debug, Arguments)]
struct Args {
    /// The output of `sam build`: a folder for each function.
    #[arg(long)]
    artifacts: PathBuf,
    /// The folder with the libraries, models and test data.
    #[arg(long)]
    assets: PathBuf,
    /// What the template gives each function: the output of `python -m localstack.functions`.
    #[arg(long)]
    functions: PathBuf,
    /// The folder bench/.
    #[arg(long)]
    bench: PathBuf,
}

impl Args {
    /// Reads a file of the assets' test data.
    fn testdata(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.assets.join("testdata").join(name);
        std::fs::read(&path).with_context(|| format!("can't read {}", path.display()))
    }

    /// Makes the paths absolute: each function is started in a folder of its own.
    fn absolute(self) -> std::io::Result<Self> {
        Ok(Self {
            artifacts: std::path::absolute(self.artifacts)?,
            assets: std::path::absolute(self.assets)?,
            functions: self.functions,
            bench: std::path::absolute(self.bench)?,
        })
    }
}

fn main() -> ExitCode {
    if let Some(code) = guard::run() {
        return code;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if signals::is_interrupted() => ExitCode::from(signals::EXIT_CODE),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    match Command::parse() {
        Command::Speed { args, python, quick } => {
            let args = args.absolute()?;
            let python = std::path::absolute(python)?;
            println!("machine: {}\n", machine());
            // No other thread may run during a single-threaded measurement, so the runtime ends with the first one.
            block_on(cold::report(&args, &python, if quick { 1 } else { cold::ROUNDS }))?;
            throughput::report(&args, &python, quick)
        }
        Command::Starts(args) => block_on(cold::start_each(&args.absolute()?)),
        Command::Memory { args, only } => block_on(memory::report(&args.absolute()?, only.as_deref())),
        Command::Reads => reads::report(),
        Command::Load(args) => load::report(&args),
        Command::Scaling(args) => scaling::report(&args),
    }
}

fn block_on(report: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(report)
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = |line: &str| {
        Some(
            line.strip_prefix("model name")?
                .trim_start_matches([' ', '\t', ':'])
                .to_owned(),
        )
    };
    let model = cpus
        .lines()
        .find_map(named)
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores, {}", std::env::consts::ARCH)
}

/// The median, which single runs on a busy machine do not change.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

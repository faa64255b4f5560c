//! What a cold start costs and how many texts a second one thread classifies, beside Python's onnxruntime in the same
//! run: machines are noisy, so only the ratios of one run mean anything. `cargo xtask bench` calls it. And what requests
//! cost in reads and writes, which are the same on every machine.

mod cases;
mod children;
mod cold;
mod host;
mod load;
mod reads;
mod scaling;
mod throughput;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args as Arguments, Parser};

#[derive(Debug, Parser)]
enum Command {
    /// Cold starts and throughput.
    Speed(Args),
    /// What requests cost on the stack of the environment.
    Reads,
    /// Latency and processor time under load, beside a twin of the first earlier system.
    Load(load::Args),
    /// How many workers run while a backlog grows and goes.
    Scaling(scaling::Args),
}

/// Where things are; `cargo xtask bench` knows.
#[derive(Debug, Arguments)]
struct Args {
    /// What `sam build` made: a folder per function.
    #[arg(long)]
    artifacts: PathBuf,
    /// The library, the models and the test images.
    #[arg(long)]
    assets: PathBuf,
    /// The Python of bench/requirements.txt.
    #[arg(long)]
    python: PathBuf,
    /// This folder.
    #[arg(long)]
    bench: PathBuf,
}

impl Args {
    /// A file of the assets' test data.
    fn testdata(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.assets.join("testdata").join(name);
        std::fs::read(&path).with_context(|| format!("{} can't be read", path.display()))
    }

    /// A function is started in a folder of its own, where relative paths would mean others.
    fn absolute(self) -> std::io::Result<Self> {
        Ok(Self {
            artifacts: std::path::absolute(self.artifacts)?,
            assets: std::path::absolute(self.assets)?,
            python: std::path::absolute(self.python)?,
            bench: std::path::absolute(self.bench)?,
        })
    }
}

fn main() -> Result<()> {
    let args = match Command::parse() {
        Command::Speed(args) => args.absolute()?,
        Command::Reads => return reads::report(),
        Command::Load(args) => return load::report(&args),
        Command::Scaling(args) => return scaling::report(&args),
    };
    println!("machine: {}\n", machine());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(cold::report(&args))?;
    // Nothing else may run beside a single-threaded measurement.
    drop(runtime);
    throughput::report(&args)
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

/// The middle one: a run that met a busy machine does not move it.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

//! Sends submissions and status requests at fixed rates to AI Mesh and to a baseline in turns, and measures the
//! latency and the processor time of each system. The environment variables name the stack, which must have no other
//! clients.

mod ai_mesh;
mod baseline;
mod cpu_usage;
mod oha;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args as Arguments;
use mesh_supervisor::{OnSignal, SupervisedChild, signals};

use crate::machine;
use cpu_usage::{CpuUsage, Role};
use oha::{LoadResult, Request};

const TEXT: &str = "My new headphones broke after two days and the shop refused to take them back.";
/// The requests a second of the warm-up, which lasts two seconds. It starts functions and loads models.
const WARM_UP_RATE: u32 = 50;

/// The arguments that `cargo xtask bench load` passes.
#[derive(Debug, Arguments)]
pub(crate) struct Args {
    /// The load generator.
    #[arg(long)]
    oha: PathBuf,
    /// The Python of bench/peers/fastapi-redis/requirements.txt.
    #[arg(long)]
    python: PathBuf,
    /// The folder with the libraries and models.
    #[arg(long)]
    assets: PathBuf,
    /// The folder bench/.
    #[arg(long)]
    bench: PathBuf,
    /// A folder for the output of the processes.
    #[arg(long)]
    work: PathBuf,
    /// Requests a second.
    #[arg(long, value_delimiter = ',', default_value = "10,50,100")]
    rates: Vec<u32>,
    /// Duration of each rate, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

/// One of the two systems that are compared.
trait System {
    fn name(&self) -> &'static str;
    fn submission(&self) -> Request;
    /// A status request for a completed task.
    fn status(&self) -> Request;
    fn cpu_usage(&self) -> Result<CpuUsage>;
    /// Waits until all tasks are done. `submitted` counts those since the last call.
    fn wait_until_done(&mut self, submitted: u32) -> Result<()>;
}

/// A row of the report.
struct Row {
    request: &'static str,
    rate: u32,
    system: &'static str,
    result: LoadResult,
    /// Processor time per request in ms.
    cost: [(Role, f64); 4],
}

pub(crate) fn report(args: &Args) -> Result<()> {
    ensure!(
        !args.rates.is_empty() && args.rates.iter().all(|rate| (1..=1_000).contains(rate)),
        "invalid --rates: use numbers from 1 to 1000"
    );
    signals::install()?;
    std::fs::create_dir_all(&args.work)?;
    let mut systems: [Box<dyn System>; 2] = [
        Box::new(ai_mesh::AiMesh::new()?),
        Box::new(baseline::Baseline::start(args)?),
    ];
    for system in &mut systems {
        for request in [system.status(), system.submission()] {
            oha::run(&args.oha, &args.work, &request, 2 * WARM_UP_RATE, WARM_UP_RATE)?;
        }
        system.wait_until_done(2 * WARM_UP_RATE)?;
    }
    println!("machine: {}", machine());
    println!(
        "{} s at each rate, open loop; times from when a request was due\n",
        args.seconds
    );
    println!("{}", Row::HEADER);
    for rate in &args.rates {
        for is_submission in [true, false] {
            for system in &mut systems {
                let row = measure(args, system.as_mut(), is_submission, *rate)?;
                println!("{}", row.line());
            }
        }
    }
    println!("\nrest: the reactor and the sweeper; Redis. cloud: the local cloud, which replaces AWS.");
    Ok(())
}

/// Starts a child with its output in these files.
fn spawn(name: &str, command: &mut Command, output: &Path, errors: &Path) -> Result<SupervisedChild> {
    let create = |path: &Path| File::create(path).with_context(|| format!("can't write {}", path.display()));
    command.stdout(create(output)?).stderr(create(errors)?);
    SupervisedChild::spawn(name, command, OnSignal::Terminate)
}

fn measure(args: &Args, system: &mut dyn System, is_submission: bool, rate: u32) -> Result<Row> {
    let (name, request) = if is_submission {
        ("submit", system.submission())
    } else {
        ("status", system.status())
    };
    let count = rate * args.seconds;
    let before = system.cpu_usage()?;
    let result = oha::run(&args.oha, &args.work, &request, count, rate)?;
    let after_responses = system.cpu_usage()?;
    if is_submission {
        system.wait_until_done(result.succeeded)?;
    }
    let after_tasks = system.cpu_usage()?;
    // Waiting for the tasks sends requests to the API too, which are not part of the load.
    let cost = [Role::Api, Role::Worker, Role::Rest, Role::Cloud].map(|role| {
        let after = if role == Role::Api {
            &after_responses
        } else {
            &after_tasks
        };
        (role, after.seconds_since(&before, role) * 1e3 / f64::from(count))
    });
    Ok(Row {
        request: name,
        rate,
        system: system.name(),
        result,
        cost,
    })
}

impl Row {
    const HEADER: &str = "                                      latency, ms                         CPU per request, ms\n\
                          request  a second  system            p50     p95     p99  errors  answers/s     api  worker    rest   cloud";

    fn line(&self) -> String {
        let LoadResult {
            p50,
            p95,
            p99,
            failed,
            rate,
            ..
        } = self.result;
        let cost: String = self.cost.iter().map(|(_, ms)| format!(" {ms:>7.2}")).collect();
        format!(
            "{:<8} {:>8}  {:<14} {p50:>6.1} {p95:>7.1} {p99:>7.1} {failed:>7} {rate:>10.1}{cost}",
            self.request, self.rate, self.system
        )
    }
}

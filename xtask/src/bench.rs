//! `cargo xtask bench`: measures cold starts and the throughput of one thread, beside Python. Its subcommands measure
//! peak memory, the latency and cost of a load, and how many workers run during a backlog.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::functions::{self, Build};
use crate::program::Program;
use crate::stack::{self, Attached, Options};
use crate::tools::{self, cargo};
use crate::venv::Venv;
use crate::{models, paths, process};

#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Peak memory with the largest inputs; fails unless each function leaves a quarter of its memory free
    Memory {
        /// Only the cases with this in their name, such as `image-worker`
        #[arg(long)]
        only: Option<String>,
    },
    /// Latency and processor time of submissions and status requests at fixed rates, beside a baseline: the first
    /// earlier system, on FastAPI and Redis
    Load {
        /// Requests a second
        #[arg(long, value_delimiter = ',', default_value = "10,50,100")]
        rates: Vec<u32>,
        /// Duration of each rate
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
        seconds: u32,
    },
    /// Running workers while a backlog grows and shrinks; writes bench/scaling
    Scaling,
}

const REDIS: Program = Program {
    name: "redis-server",
    probe: &["--version"],
    expected: "Redis server",
    packages: "redis-server",
    purpose: "the baseline stores its jobs in it",
};

/// With `quick`, the speed is measured in one short round.
pub(crate) fn run(what: Option<&What>, quick: bool) -> Result<()> {
    match what {
        None => speed(quick),
        Some(What::Memory { only }) => memory(only.as_deref()),
        Some(What::Load { rates, seconds }) => load(rates, *seconds),
        Some(What::Scaling) => scaling(),
    }
}

/// Measures the functions as deployed to AWS.
fn speed(quick: bool) -> Result<()> {
    let bench = paths::root().join("bench");
    let venv = Venv::ensure("bench", &bench.join("requirements.txt"))?;
    let mut measure = function_measurement(Profile::Release, "speed")?;
    measure.arg("--python").arg(venv.bin("python"));
    if quick {
        measure.arg("--quick");
    }
    let title = "measuring (about 2 minutes)";
    print!("{}", process::run(&mut measure, title, "bench")?);
    Ok(())
}

/// Measures the memory of the functions as deployed to AWS. The cases' figures are shown even if one is too high.
fn memory(only: Option<&str>) -> Result<()> {
    let mut measure = function_measurement(Profile::Dev, "memory")?;
    if let Some(only) = only {
        measure.args(["--only", only]);
    }
    let status = process::run_on_terminal(&mut measure)?;
    ensure!(
        status.success(),
        "a case needs too much memory, or failed: see above"
    );
    Ok(())
}

/// A measurement of functions without a stack: builds them, and reads from the template what it gives them.
fn function_measurement(profile: Profile, name: &str) -> Result<Command> {
    let artifacts = functions::build(Build::Release)?;
    let mut declared = process::command(stack::venv()?.bin("python"));
    declared
        .args(["-m", "localstack.functions"])
        .current_dir(paths::root())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let declared = process::run(&mut declared, "reading the template", "functions")?;
    let functions = paths::local().join("functions.json");
    fs::write(&functions, declared).with_context(|| format!("can't write {}", paths::display(&functions)))?;
    let mut measure = measurement(profile, name)?;
    measure.arg("--artifacts").arg(artifacts);
    measure.arg("--functions").arg(functions);
    measure.arg("--assets").arg(paths::assets());
    measure.arg("--bench").arg(paths::root().join("bench"));
    Ok(measure)
}

/// Measures a load on a stack of its own, with the functions as deployed to AWS.
fn load(rates: &[u32], seconds: u32) -> Result<()> {
    REDIS.check()?;
    let bench = paths::root().join("bench");
    let assets = models::ensure()?;
    let oha = tools::OHA.ensure()?;
    let requirements = bench.join("peers/fastapi-redis/requirements.txt");
    let venv = Venv::ensure("bench-fastapi-redis", &requirements)?;
    // The dev profile is enough: the bench's own time is not part of the figures.
    let mut measure = measurement(Profile::Dev, "load")?;
    let stack = stack::attached("load", &Options::default())?;
    measure.envs(settings(&stack)?);
    measure.arg("--oha").arg(oha);
    measure.arg("--python").arg(venv.bin("python"));
    measure.arg("--assets").arg(assets);
    measure.arg("--bench").arg(bench);
    measure.arg("--work").arg(paths::local().join("load-bench"));
    let rates: Vec<_> = rates.iter().map(u32::to_string).collect();
    measure.args(["--rates", &rates.join(","), "--seconds", &seconds.to_string()]);
    println!(
        "{}",
        process::run(&mut measure, "measuring under load", "bench-load")?
    );
    Ok(())
}

/// Measures the scaling on a stack of its own, with fault injection, which makes each task take a given time.
fn scaling() -> Result<()> {
    let folder = paths::root().join("bench/scaling");
    let (csv, picture) = (folder.join("workers.csv"), folder.join("workers.png"));
    let venv = Venv::ensure("bench-scaling", &folder.join("requirements.txt"))?;
    let mut measure = measurement(Profile::Dev, "scaling")?;
    let concurrency = ["TextConcurrency", "LargeConcurrency"].map(|name| (name.to_owned(), "8".to_owned()));
    let stack = stack::attached(
        "scaling",
        &Options {
            faults: true,
            parameters: concurrency.into(),
            ..Options::default()
        },
    )?;
    measure.envs(settings(&stack)?);
    measure.arg("--csv").arg(&csv);
    println!(
        "{}",
        process::run(&mut measure, "measuring (about 4 minutes)", "bench-scaling")?
    );
    let mut plot = process::command(venv.bin("python"));
    plot.arg(folder.join("plot.py")).arg(&csv).arg(&picture);
    plot.env("MPLCONFIGDIR", paths::local().join("matplotlib"));
    process::run(&mut plot, "drawing", "bench-plot")?;
    println!("{} and {}", paths::display(&csv), paths::display(&picture));
    Ok(())
}

fn settings(stack: &Attached) -> Result<BTreeMap<String, String>> {
    let mut settings = stack.dir.settings()?;
    let log = stack.dir.log_file().display().to_string();
    settings.insert("AI_MESH_CLOUD_LOG".to_owned(), log);
    Ok(settings)
}

#[derive(Clone, Copy)]
enum Profile {
    Dev,
    Release,
}

/// Builds mesh-bench, and makes a command for one of its measurements.
fn measurement(profile: Profile, name: &str) -> Result<Command> {
    let profile: &[_] = match profile {
        Profile::Dev => &[],
        Profile::Release => &["--release"],
    };
    let mut build = process::command(cargo());
    build
        .args(["build", "--locked", "--package", "mesh-bench"])
        .args(profile);
    process::run(&mut build, "building the benchmark", "bench-build")?;
    let mut measure = process::command(cargo());
    measure
        .args(["run", "--quiet", "--locked"])
        .args(profile)
        .args(["--package", "mesh-bench", "--", name]);
    Ok(measure)
}

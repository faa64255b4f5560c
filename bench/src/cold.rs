//! Cold starts: the time from the start of a process to its first `next` or its first response, and its peak memory.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::cases::{self, Case, TEXT};
use crate::function::Functions;
use crate::host::{Event, Host, Scenario};
use crate::{Args, median};

const TIMEOUT: Duration = Duration::from_secs(60);
/// Runs of each case, after one that fills the page cache.
pub(crate) const ROUNDS: usize = 15;
/// The case that the Python process is compared with.
const PEER_CASE: &str = "text-worker: sentiment";

struct ColdStart {
    milliseconds: f64,
    mebibytes: f64,
}

/// Measures `rounds` runs of each case, after one that fills the page cache.
pub(crate) async fn report(args: &Args, python_program: &Path, rounds: usize) -> Result<()> {
    let functions = Functions::read(&args.functions)?;
    let cases = cases::cold_starts(args)?;
    let mut runs: Vec<Vec<ColdStart>> = cases.iter().map(|_| Vec::new()).collect();
    let mut python = Vec::new();
    // The cases take turns, so that changes of the machine's load affect all of them.
    for round in 0..=rounds {
        for (case, runs) in cases.iter().zip(&mut runs) {
            let cold = function(args, &functions, case).await?;
            runs.extend((round > 0).then_some(cold));
        }
        let cold = peer(args, python_program).await?;
        python.extend((round > 0).then_some(cold));
    }
    println!("cold start to the first response (median of {rounds})    ms   peak MiB");
    let python = summary(&python);
    for (case, runs) in cases.iter().zip(&runs) {
        let cold = summary(runs);
        line(&case.name, &cold);
        if case.name == PEER_CASE {
            line("Python onnxruntime: the same text", &python);
            let (time, memory) = (
                cold.milliseconds / python.milliseconds,
                cold.mebibytes / python.mebibytes,
            );
            println!("  beside Python: {time:.2} of the time, {memory:.2} of the memory");
        }
    }
    println!();
    Ok(())
}

/// Starts each of the template's functions once. A function that lacks a setting fails.
pub(crate) async fn start_each(args: &Args) -> Result<()> {
    let functions = Functions::read(&args.functions)?;
    for id in functions.ids() {
        let case = Case::new(id, id, Scenario::default());
        line(id, &function(args, &functions, &case).await?);
    }
    Ok(())
}

fn line(what: &str, cold: &ColdStart) {
    println!("{what:<48} {:>6.1} {:>8.1}", cold.milliseconds, cold.mebibytes);
}

fn summary(runs: &[ColdStart]) -> ColdStart {
    ColdStart {
        milliseconds: median(runs.iter().map(|run| run.milliseconds).collect()),
        mebibytes: median(runs.iter().map(|run| run.mebibytes).collect()),
    }
}

async fn function(args: &Args, functions: &Functions, case: &Case) -> Result<ColdStart> {
    let work_count = case.scenario.works.len();
    let host = Host::start(case.scenario.clone()).await?;
    let start = Instant::now();
    let mut running = functions.get(&case.function)?.start(args, case, host)?;
    let mut completed = 0;
    let end = loop {
        match running.next_event(TIMEOUT).await? {
            Event::Next(time) if work_count == 0 => break time,
            Event::Response { at, .. } => {
                ensure!(
                    completed == work_count,
                    "{} responded without a result",
                    case.function
                );
                break at;
            }
            Event::Finish { is_completed } => completed += usize::from(is_completed),
            Event::Error(error) => bail!("{}: {error}", case.function),
            Event::Next(_) => {}
        }
    };
    let mebibytes = running.end().await?;
    Ok(ColdStart {
        milliseconds: (end - start).as_secs_f64() * 1e3,
        mebibytes,
    })
}

async fn peer(args: &Args, python: &Path) -> Result<ColdStart> {
    let start = Instant::now();
    let mut child = Command::new(python)
        .arg(args.bench.join("peer.py"))
        .args(["cold".as_ref(), args.assets.as_os_str(), TEXT.as_ref()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("can't start Python")?;
    let mut lines = BufReader::new(child.stdout.take().context("Python has no output")?).lines();
    lines.next_line().await?.context("Python printed no result")?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let kibibytes: f64 = lines
        .next_line()
        .await?
        .context("Python printed no memory")?
        .parse()?;
    child.wait().await?;
    Ok(ColdStart {
        milliseconds,
        mebibytes: kibibytes / 1024.0,
    })
}

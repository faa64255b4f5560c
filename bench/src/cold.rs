//! Cold starts: the time from the start of a process to its first `next` or its first response, and its peak memory.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cases::{self, Case, TEXT};
use crate::host::{Event, Host};
use crate::{Args, median};

/// Runs of each case, after one that fills the page cache.
const RUNS: usize = 15;
/// One run is enough, since the memory hardly differs between runs.
const LARGE_RUNS: usize = 1;
/// The case that the Python process is compared with.
const PEER_CASE: &str = "text-worker: sentiment";

struct ColdStart {
    milliseconds: f64,
    mebibytes: f64,
}

pub(crate) async fn report(args: &Args) -> Result<()> {
    let cases = cases::cold_starts(args)?;
    let mut runs: Vec<Vec<ColdStart>> = cases.iter().map(|_| Vec::new()).collect();
    let mut python = Vec::new();
    // The cases take turns, so that changes of the machine's load affect all of them.
    for round in 0..=RUNS {
        for (case, runs) in cases.iter().zip(&mut runs) {
            let cold = function(args, case).await?;
            runs.extend((round > 0).then_some(cold));
        }
        let cold = peer(args).await?;
        python.extend((round > 0).then_some(cold));
    }
    println!("cold start to the first response (median of {RUNS})    ms   peak MiB");
    let python = summary(&python);
    for (case, runs) in cases.iter().zip(&runs) {
        let cold = summary(runs);
        line(case.name, &cold);
        if case.name == PEER_CASE {
            line("Python onnxruntime: the same text", &python);
            let (time, memory) = (
                cold.milliseconds / python.milliseconds,
                cold.mebibytes / python.mebibytes,
            );
            println!("  beside Python: {time:.2} of the time, {memory:.2} of the memory");
        }
    }
    println!("\nthe largest accepted inputs                        ms   peak MiB");
    for case in cases::largest_tasks(args)? {
        let mut runs = Vec::new();
        for _ in 0..LARGE_RUNS {
            runs.push(function(args, &case).await?);
        }
        line(case.name, &summary(&runs));
    }
    println!();
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

/// Measures a function in its own folder, with its settings as the only environment variables.
async fn function(args: &Args, case: &Case) -> Result<ColdStart> {
    let folder = args.artifacts.join(case.function);
    let has_work = case.work.is_some();
    let mut host = Host::start(case.work.clone()).await?;
    let start = Instant::now();
    let mut child = Command::new(folder.join("bootstrap"))
        .current_dir(&folder)
        .env_clear()
        .envs(settings(&host, &folder))
        .env("SPEECH_MODEL", case.speech_model)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("can't start {}/bootstrap", folder.display()))?;
    let mut finished = false;
    let end = loop {
        match host.next_event().await? {
            Event::Next(time) if !has_work => break time,
            Event::Response(time) => {
                ensure!(finished, "{} responded without a result", folder.display());
                break time;
            }
            Event::Finish { completed } => finished = completed,
            Event::InitError(error) => bail!("{}: {error}", folder.display()),
            Event::Next(_) => {}
        }
    };
    let mebibytes = peak_mebibytes(&child)?;
    child.kill().await?;
    Ok(ColdStart {
        milliseconds: (end - start).as_secs_f64() * 1e3,
        mebibytes,
    })
}

fn settings(host: &Host, folder: &Path) -> Vec<(String, String)> {
    let address = host.address;
    let queue = format!("http://{address}/000000000000/bench");
    let workers = ["", "TEXT_", "IMAGE_", "AUDIO_", "LANGUAGE_"];
    let lanes = ["", "LARGE_", "HIGH_", "LOW_"];
    let queues = workers
        .iter()
        .flat_map(|worker| lanes.map(|lane| (format!("{worker}{lane}QUEUE_URL"), queue.clone())));
    let text = str::to_owned;
    let others = [
        ("AWS_LAMBDA_RUNTIME_API", address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", text("bench")),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", text("1769")),
        ("AWS_LAMBDA_FUNCTION_VERSION", text("1")),
        ("AWS_LAMBDA_LOG_GROUP_NAME", text("bench")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", text("bench")),
        ("LAMBDA_TASK_ROOT", folder.display().to_string()),
        ("AWS_ENDPOINT_URL", format!("http://{address}")),
        ("AWS_REGION", text("us-east-1")),
        ("AWS_ACCESS_KEY_ID", text("bench")),
        ("AWS_SECRET_ACCESS_KEY", text("bench")),
        ("TASKS_TABLE", text("bench")),
        ("PAYLOAD_BUCKET", text("bench")),
        ("TOKEN_SHA256", "0".repeat(64)),
        ("RETENTION_DAYS", text("1")),
        ("MAX_ATTEMPTS", text("3")),
        ("MAX_RECEIVES", text("3")),
        ("ORT_DISABLE_TELEMETRY", text("1")),
        ("RETRY_BASE_SECONDS", text("1")),
        ("RETRY_CAP_SECONDS", text("1")),
        ("RETRY_POLICIES", String::new()),
        ("LEASE_SECONDS", text("30")),
        ("DUE_AFTER_SECONDS", text("60")),
        ("LANGUAGE_PROVIDER", text("none")),
        ("LANGUAGE_MODEL", String::new()),
        ("LANGUAGE_BASE_URL", String::new()),
        ("LANGUAGE_API_KEY_SECRET", String::new()),
        ("LANGUAGE_TIMEOUT_SECONDS", text("45")),
        ("LANGUAGE_MAX_TEXT_CHARS", text("24000")),
        ("LANGUAGE_MAX_OUTPUT_TOKENS", text("2048")),
        ("STATS_TABLE", text("bench")),
        ("WEB_ORIGIN", String::new()),
        ("TEXT_WORKER_FUNCTION", text("bench")),
        ("TEXT_CONCURRENCY", text("8")),
        ("IMAGE_WORKER_FUNCTION", text("bench")),
        ("IMAGE_CONCURRENCY", text("8")),
        ("AUDIO_WORKER_FUNCTION", text("bench")),
        ("AUDIO_CONCURRENCY", text("8")),
        ("LANGUAGE_WORKER_FUNCTION", text("bench")),
        ("LANGUAGE_CONCURRENCY", text("8")),
        ("LARGE_CONCURRENCY", text("8")),
        ("HIGH_CONCURRENCY", text("2")),
        ("LOW_CONCURRENCY", text("2")),
        ("COMPAT_TENANT", String::new()),
        ("LOG_LEVEL", text("error")),
    ];
    let others = others.map(|(name, value)| (name.to_owned(), value));
    queues.chain(others).collect()
}

/// The process's peak memory so far, in MiB.
fn peak_mebibytes(child: &Child) -> Result<f64> {
    let id = child.id().context("the process has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(kibibytes.context("no VmHWM in /proc")?.trim().parse::<f64>()? / 1024.0)
}

async fn peer(args: &Args) -> Result<ColdStart> {
    let start = Instant::now();
    let mut child = Command::new(&args.python)
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

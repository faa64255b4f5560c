//! Cold starts: from an empty process to its first `next`, and to its first answer, with the memory that it took.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cases::{self, Case, TEXT};
use crate::host::{Host, Seen};
use crate::{Args, median};

/// Enough for a steady median; the first fills the page cache and does not count.
const RUNS: usize = 15;
/// Memory hardly differs from run to run.
const LARGE_RUNS: usize = 1;
/// What the Python process is compared with.
const PEER_OF: &str = "text-worker: sentiment";

struct Cold {
    milliseconds: f64,
    mebibytes: f64,
}

pub(crate) async fn report(args: &Args) -> Result<()> {
    let cases = cases::first(args)?;
    let mut runs: Vec<Vec<Cold>> = cases.iter().map(|_| Vec::new()).collect();
    let mut python = Vec::new();
    // They take turns, so that all meet the machine's moods.
    for round in 0..=RUNS {
        for (case, runs) in cases.iter().zip(&mut runs) {
            let cold = function(args, case).await?;
            runs.extend((round > 0).then_some(cold));
        }
        let cold = peer(args).await?;
        python.extend((round > 0).then_some(cold));
    }
    println!("cold start to the first answer (median of {RUNS})      ms   peak MiB");
    let python = summary(&python);
    for (case, runs) in cases.iter().zip(&runs) {
        let cold = summary(runs);
        line(case.name, &cold);
        if case.name == PEER_OF {
            line("Python onnxruntime: the same text", &python);
            let (time, memory) = (
                cold.milliseconds / python.milliseconds,
                cold.mebibytes / python.mebibytes,
            );
            println!("  beside Python: {time:.2} of the time, {memory:.2} of the memory");
        }
    }
    println!("\nthe largest that is taken                          ms   peak MiB");
    for case in cases::largest(args)? {
        let mut runs = Vec::new();
        for _ in 0..LARGE_RUNS {
            runs.push(function(args, &case).await?);
        }
        line(case.name, &summary(&runs));
    }
    println!();
    Ok(())
}

fn line(what: &str, cold: &Cold) {
    println!("{what:<48} {:>6.1} {:>8.1}", cold.milliseconds, cold.mebibytes);
}

fn summary(runs: &[Cold]) -> Cold {
    Cold {
        milliseconds: median(runs.iter().map(|run| run.milliseconds).collect()),
        mebibytes: median(runs.iter().map(|run| run.mebibytes).collect()),
    }
}

/// Starts a function in its own folder with nothing but its settings. With work it is measured up to its answer,
/// without any up to the first `next`.
async fn function(args: &Args, case: &Case) -> Result<Cold> {
    let folder = args.artifacts.join(case.function);
    let answers = case.work.is_some();
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
        .with_context(|| format!("{}/bootstrap could not be started", folder.display()))?;
    let mut finished = false;
    let end = loop {
        match host.see().await? {
            Seen::Next(time) if !answers => break time,
            Seen::Answer(time) => {
                ensure!(finished, "{} answered without a result", folder.display());
                break time;
            }
            Seen::Finish { completed } => finished = completed,
            Seen::InitError(error) => bail!("{}: {error}", folder.display()),
            Seen::Next(_) => {}
        }
    };
    let mebibytes = peak(&child)?;
    child.kill().await?;
    Ok(Cold {
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

/// The most memory that the process has held so far, in MiB.
fn peak(child: &Child) -> Result<f64> {
    let id = child.id().context("the process has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(kibibytes.context("no VmHWM")?.trim().parse::<f64>()? / 1024.0)
}

async fn peer(args: &Args) -> Result<Cold> {
    let start = Instant::now();
    let mut child = Command::new(&args.python)
        .arg(args.bench.join("peer.py"))
        .args(["cold".as_ref(), args.assets.as_os_str(), TEXT.as_ref()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("Python could not be started")?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    lines.next_line().await?.context("Python gave no answer")?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let kibibytes: f64 = lines
        .next_line()
        .await?
        .context("Python gave no memory")?
        .parse()?;
    child.wait().await?;
    Ok(Cold {
        milliseconds,
        mebibytes: kibibytes / 1024.0,
    })
}

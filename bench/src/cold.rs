//! Cold starts: from an empty process to its first `next`, and to its first answer, with the memory that it took.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use mesh_task::{Modality, Payload, Size, Task, TaskDraft, TaskId, TaskType, Tenant};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::host::{Host, Seen, object_payload};
use crate::{Args, median};

/// Enough for a steady median; the first fills the page cache and does not count.
const RUNS: usize = 15;
const TEXT: &str = "What a delightful little machine.";

struct Cold {
    milliseconds: f64,
    mebibytes: f64,
}

pub(crate) async fn report(args: &Args) -> Result<()> {
    let image =
        std::fs::read(args.assets.join("testdata/astronaut.png")).context("testdata/astronaut.png")?;
    let text = Payload::Inline(json!({ "text": TEXT }));
    let (mut api, mut texts, mut images, mut python) = (vec![], vec![], vec![], vec![]);
    for _ in 0..=RUNS {
        api.push(function(&args.artifacts.join("ApiFunction"), None).await?);
        let task = task(TaskType::Sentiment, Modality::Text, text.clone());
        texts.push(
            function(
                &args.artifacts.join("TextWorkerFunction"),
                Some((task, Vec::new())),
            )
            .await?,
        );
        let task = self::task(TaskType::FaceDetection, Modality::Image, object_payload(&image));
        images.push(
            function(
                &args.artifacts.join("ImageWorkerFunction"),
                Some((task, image.clone())),
            )
            .await?,
        );
        python.push(peer(args).await?);
    }
    println!("cold start (median of {RUNS})                      ms   peak MiB");
    let [api, texts, images, python] = [api, texts, images, python].map(|runs| summary(&runs[1..]));
    line("api: process start to first next", &api);
    line("text-worker: process start to first answer", &texts);
    line("image-worker: process start to first answer", &images);
    line("Python onnxruntime: process start to first text", &python);
    println!(
        "text-worker beside Python: {:.2} of the time, {:.2} of the memory\n",
        texts.milliseconds / python.milliseconds,
        texts.mebibytes / python.mebibytes
    );
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

fn task(task_type: TaskType, modality: Modality, payload: Payload) -> Task {
    let now = jiff::Timestamp::now();
    let draft = TaskDraft {
        id: TaskId::generate(),
        tenant: Tenant::first(),
        task_type,
        modality,
        size: Size::Small,
        payload,
        metadata: [].into(),
        max_attempts: 3,
        timeout_seconds: None,
    };
    Task::new(draft, now, now)
}

/// Starts a function in its own folder with nothing but its settings. With a task it is measured up to the task's
/// answer, without one up to the first `next`.
async fn function(folder: &Path, task: Option<(Task, Vec<u8>)>) -> Result<Cold> {
    let answers = task.is_some();
    let mut host = Host::start(task).await?;
    let start = Instant::now();
    let mut child = Command::new(folder.join("bootstrap"))
        .current_dir(folder)
        .env_clear()
        .envs(settings(&host, folder))
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

fn settings(host: &Host, folder: &Path) -> Vec<(&'static str, String)> {
    let address = host.address;
    let queue = format!("http://{address}/000000000000/bench");
    let text = str::to_owned;
    vec![
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
        ("QUEUE_URL", queue.clone()),
        ("TEXT_QUEUE_URL", queue.clone()),
        ("IMAGE_QUEUE_URL", queue.clone()),
        ("AUDIO_QUEUE_URL", queue.clone()),
        ("LANGUAGE_QUEUE_URL", queue),
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
        ("SPEECH_MODEL", text("base")),
        ("LANGUAGE_PROVIDER", text("none")),
        ("LANGUAGE_MODEL", String::new()),
        ("LOG_LEVEL", text("error")),
    ]
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

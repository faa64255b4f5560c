//! The number of running workers while a backlog grows and shrinks: submits bursts of tasks, small ones and then large
//! ones. The environment variables name a stack with fault injection, which makes each task take a given time.

mod timeline;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args as Arguments;
use jiff::Timestamp;
use mesh_tests::{Api, log_events};
use serde_json::{Value, json};

use timeline::{Attempt, Timeline};

/// The numbers of tasks in the bursts: from one worker's batch to enough for all workers, and back.
const BURSTS: [usize; 11] = [2, 5, 10, 20, 40, 80, 40, 20, 10, 5, 2];
const BURST_INTERVAL: Duration = Duration::from_secs(6);
/// The duration of a task.
const TASK_DURATION: Duration = Duration::from_millis(500);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);
/// How long the sampling continues after the last task.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// The arguments that `cargo xtask bench scaling` passes.
#[derive(Debug, Arguments)]
pub(crate) struct Args {
    /// The path of the table to write.
    #[arg(long)]
    csv: PathBuf,
}

/// A size of tasks, and its queue.
struct Kind {
    name: &'static str,
    queue: &'static str,
    text: String,
}

/// The queue's figures in `GET /v1/stats` at one time.
struct Sample {
    at: Timestamp,
    visible: u64,
    in_flight: u64,
}

pub(crate) fn report(args: &Args) -> Result<()> {
    let kinds = [
        Kind {
            name: "small",
            queue: "text-small",
            text: "It was a fine day in the hills.".to_owned(),
        },
        Kind {
            name: "large",
            queue: "text-large",
            // More than 200 words.
            text: "It was a fine day in the hills. ".repeat(40),
        },
    ];
    let mut table =
        "tasks,seconds,submitted,workers,tasks_running,tasks_waiting,queue_visible,queue_in_flight\n"
            .to_owned();
    println!(
        "bursts of {BURSTS:?} tasks, {} s apart; each task takes {} ms\n",
        BURST_INTERVAL.as_secs(),
        TASK_DURATION.as_millis()
    );
    println!("most workers after a burst of   {}", columns(&BURSTS[..=5]));
    for kind in &kinds {
        drive(kind, &mut table)?;
    }
    std::fs::write(&args.csv, table).with_context(|| format!("can't write {}", args.csv.display()))
}

fn drive(kind: &Kind, table: &mut String) -> Result<()> {
    let api = Api::new();
    warm_up(&api, kind)?;
    let is_finished = AtomicBool::new(false);
    let start = Timestamp::now();
    let (ids, bursts, samples) = thread::scope(|scope| -> Result<_> {
        let sampling = scope.spawn(|| sample(kind, &is_finished));
        let submitted = submit_all(&api, kind);
        is_finished.store(true, Relaxed);
        let samples = sampling.join().expect("the sampling does not panic")?;
        let (ids, bursts) = submitted?;
        Ok((ids, bursts, samples))
    })?;
    let timeline = Timeline::new(attempts(&api, &ids)?);
    for sample in &samples {
        let counts = timeline.at(sample.at);
        writeln!(
            table,
            "{},{:.2},{},{},{},{},{},{}",
            kind.name,
            (sample.at - start).total(jiff::Unit::Second)?,
            counts.submitted,
            counts.workers,
            counts.running,
            counts.waiting,
            sample.visible,
            sample.in_flight
        )?;
    }
    let max_workers: Vec<_> = bursts
        .windows(2)
        .take(6)
        .map(|burst| timeline.max_workers_between(burst[0], burst[1]))
        .collect();
    println!(
        "{:<32}{}",
        format!("  {} tasks", kind.name),
        columns(&max_workers)
    );
    let (max_workers, last) = (
        timeline.max_workers(),
        samples.last().map(|sample| timeline.at(sample.at).workers),
    );
    ensure!(last == Some(0), "workers still run at the end: {last:?}");
    println!("{:<32}{max_workers:>5} at most, 0 at the end", "");
    Ok(())
}

fn columns(values: &[usize]) -> String {
    values.iter().map(|value| format!("{value:>5}")).collect()
}

/// Starts all functions that the measurement uses, so that it has no cold starts.
fn warm_up(api: &Api, kind: &Kind) -> Result<()> {
    for id in submit(api, kind, BURSTS[5])? {
        api.result(&id);
    }
    Ok(())
}

/// Submits the bursts and waits until all tasks are done. Returns the ids, and when each burst was submitted.
fn submit_all(api: &Api, kind: &Kind) -> Result<(Vec<String>, Vec<Timestamp>)> {
    let start = Instant::now();
    let (mut ids, mut times) = (Vec::new(), Vec::new());
    for (number, count) in BURSTS.into_iter().enumerate() {
        sleep((BURST_INTERVAL * u32::try_from(number)?).saturating_sub(start.elapsed()));
        times.push(Timestamp::now());
        ids.extend(submit(api, kind, count)?);
    }
    for id in &ids {
        api.result(id);
    }
    sleep(IDLE_TIME);
    Ok((ids, times))
}

fn submit(api: &Api, kind: &Kind, count: usize) -> Result<Vec<String>> {
    let task = json!({
        "type": "sentiment",
        "input": { "text": kind.text },
        "metadata": { "fault": format!("slow:{}", TASK_DURATION.as_millis()) },
    });
    let reply = api.post_to("/v1/tasks/batch", Some(&json!({ "tasks": vec![task; count] })));
    let results = reply.body["results"].as_array().context("no results")?;
    let id = |result: &Value| Some(result["task"]["id"].as_str()?.to_owned());
    results
        .iter()
        .map(|result| id(result).with_context(|| format!("the API refused a task: {result}")))
        .collect()
}

fn sample(kind: &Kind, is_finished: &AtomicBool) -> Result<Vec<Sample>> {
    let api = Api::new();
    let mut samples = Vec::new();
    let mut next = Instant::now();
    while !is_finished.load(Relaxed) {
        let stats = api.get("/v1/stats");
        let at = Timestamp::now();
        let queues = stats.body["queues"].as_array();
        let queue = queues.and_then(|queues| queues.iter().find(|queue| queue["name"] == kind.queue));
        let queue =
            queue.with_context(|| format!("no queue {} in the API's statistics: {stats:?}", kind.queue))?;
        let number = |name: &str| {
            queue[name]
                .as_u64()
                .with_context(|| format!("no {name} in {queue}"))
        };
        samples.push(Sample {
            at,
            visible: number("visible")?,
            in_flight: number("in_flight")?,
        });
        next += SAMPLE_INTERVAL;
        sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(samples)
}

/// The tasks' times from the API, and the invocation that ran each task from the log.
fn attempts(api: &Api, ids: &[String]) -> Result<Vec<Attempt>> {
    let invocation = |id: &str| {
        let entry = log_events("attempt_ended", id).pop()?;
        entry["function_request_id"].as_str().map(str::to_owned)
    };
    let attempt = |id: &String| {
        let task = api.show(id);
        let attempts = task["attempts"].as_array().map(Vec::as_slice);
        let [attempt] = attempts.unwrap_or_default() else {
            anyhow::bail!("expected exactly one attempt: {task}");
        };
        let time = |value: &Value| -> Result<Timestamp> {
            let text = value
                .as_str()
                .with_context(|| format!("missing time in {task}"))?;
            Ok(text.parse()?)
        };
        Ok(Attempt {
            submitted: time(&task["created_at"])?,
            started: time(&attempt["started_at"])?,
            ended: time(&attempt["ended_at"])?,
            invocation: invocation(id)
                .with_context(|| format!("no invocation in the log for the task {id}"))?,
        })
    };
    ids.iter().map(attempt).collect()
}

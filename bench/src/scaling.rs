//! How many workers run while a backlog grows and goes: bursts of tasks, small ones and then large ones, onto the
//! stack of the environment, its functions built with faults, so that a task takes as long as it is told to.

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

/// So many tasks are submitted at a time: what a single worker does at once, up to what keeps all busy, and back.
const BURSTS: [usize; 11] = [2, 5, 10, 20, 40, 80, 40, 20, 10, 5, 2];
/// From one burst to the next.
const GAP: Duration = Duration::from_secs(6);
/// How long a task runs.
const RUN: Duration = Duration::from_millis(500);
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// Nothing comes any more, and nobody runs.
const QUIET: Duration = Duration::from_secs(5);

/// Where the figures go; `cargo xtask bench scaling` knows.
#[derive(Debug, Arguments)]
pub(crate) struct Args {
    /// The table that is written.
    #[arg(long)]
    csv: PathBuf,
}

/// Tasks of a size, and their queue.
struct Kind {
    name: &'static str,
    queue: &'static str,
    text: String,
}

/// What `GET /v1/stats` said of the queue.
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
        GAP.as_secs(),
        RUN.as_millis()
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
    let ends = AtomicBool::new(false);
    let start = Timestamp::now();
    let (ids, bursts, samples) = thread::scope(|scope| -> Result<_> {
        let sampling = scope.spawn(|| sample(kind, &ends));
        let submitted = submit_all(&api, kind);
        ends.store(true, Relaxed);
        let samples = sampling.join().expect("it does not panic of itself")?;
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
    let most: Vec<_> = bursts
        .windows(2)
        .take(6)
        .map(|burst| timeline.most_workers(burst[0], burst[1]))
        .collect();
    println!("{:<32}{}", format!("  {} tasks", kind.name), columns(&most));
    let (most, last) = (
        timeline.most(),
        samples.last().map(|sample| timeline.at(sample.at).workers),
    );
    ensure!(last == Some(0), "workers still run at the end: {last:?}");
    println!("{:<32}{most:>5} at most, 0 at the end", "");
    Ok(())
}

fn columns(values: &[usize]) -> String {
    values.iter().map(|value| format!("{value:>5}")).collect()
}

/// Starts all functions that will run, which in this measurement is nobody's wait.
fn warm_up(api: &Api, kind: &Kind) -> Result<()> {
    for id in submit(api, kind, BURSTS[5])? {
        api.result(&id);
    }
    Ok(())
}

/// Submits the bursts and waits until all is done and quiet. The ids, and when each burst was submitted.
fn submit_all(api: &Api, kind: &Kind) -> Result<(Vec<String>, Vec<Timestamp>)> {
    let start = Instant::now();
    let (mut ids, mut times) = (Vec::new(), Vec::new());
    for (number, count) in BURSTS.into_iter().enumerate() {
        sleep((GAP * u32::try_from(number)?).saturating_sub(start.elapsed()));
        times.push(Timestamp::now());
        ids.extend(submit(api, kind, count)?);
    }
    for id in &ids {
        api.result(id);
    }
    sleep(QUIET);
    Ok((ids, times))
}

fn submit(api: &Api, kind: &Kind, count: usize) -> Result<Vec<String>> {
    let task = json!({
        "type": "sentiment",
        "input": { "text": kind.text },
        "metadata": { "fault": format!("slow:{}", RUN.as_millis()) },
    });
    let reply = api.post_to("/v1/tasks/batch", Some(&json!({ "tasks": vec![task; count] })));
    let results = reply.body["results"].as_array().context("no results")?;
    let id = |result: &Value| Some(result["task"]["id"].as_str()?.to_owned());
    results
        .iter()
        .map(|result| id(result).with_context(|| format!("a task was refused: {result}")))
        .collect()
}

fn sample(kind: &Kind, ends: &AtomicBool) -> Result<Vec<Sample>> {
    let api = Api::new();
    let mut samples = Vec::new();
    let mut next = Instant::now();
    while !ends.load(Relaxed) {
        let stats = api.get("/v1/stats");
        let at = Timestamp::now();
        let queues = stats.body["queues"].as_array();
        let queue = queues.and_then(|queues| queues.iter().find(|queue| queue["name"] == kind.queue));
        let queue = queue.with_context(|| format!("the API tells nothing of {}: {stats:?}", kind.queue))?;
        let number = |name: &str| {
            queue[name]
                .as_u64()
                .with_context(|| format!("no {name}: {queue}"))
        };
        samples.push(Sample {
            at,
            visible: number("visible")?,
            in_flight: number("in_flight")?,
        });
        next += SAMPLE_EVERY;
        sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(samples)
}

/// The tasks' times by the API, and by the log which invocation ran each.
fn attempts(api: &Api, ids: &[String]) -> Result<Vec<Attempt>> {
    let invocation = |id: &str| {
        let entry = log_events("attempt_ended", id).pop()?;
        entry["function_request_id"].as_str().map(str::to_owned)
    };
    let attempt = |id: &String| {
        let task = api.show(id);
        let attempts = task["attempts"].as_array().map(Vec::as_slice);
        let [attempt] = attempts.unwrap_or_default() else {
            anyhow::bail!("{task} took another number of attempts than one");
        };
        let time = |value: &Value| -> Result<Timestamp> {
            let text = value
                .as_str()
                .with_context(|| format!("a time is missing: {task}"))?;
            Ok(text.parse()?)
        };
        Ok(Attempt {
            submitted: time(&task["created_at"])?,
            started: time(&attempt["started_at"])?,
            ended: time(&attempt["ended_at"])?,
            invocation: invocation(id).with_context(|| format!("the log does not tell who ran {id}"))?,
        })
    };
    ids.iter().map(attempt).collect()
}

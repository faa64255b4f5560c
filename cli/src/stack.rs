//! `mesh stats`, `mesh workers` and `mesh models`.

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Client, Percentiles, QueueDepth, Rates};
use mesh_task::Status;

use crate::exit::Exit;
use crate::format;
use crate::screen::{Screen, Style};
use crate::table::{Cell, Table};

pub(crate) async fn stats(client: &Client, screen: &Screen) -> Result<Exit> {
    let stats = client.stats().await?;
    if screen.json {
        screen.value(&stats)?;
        return Ok(Exit::Done);
    }
    let mut tasks = Table::new([
        "TASKS",
        "ALL",
        "BLOCKED",
        "PENDING",
        "PROCESSING",
        "COMPLETED",
        "FAILED",
        "CANCELLED",
    ]);
    let types = stats
        .by_type
        .iter()
        .map(|(name, by_status)| (name.as_str(), by_status));
    for (name, by_status) in types.chain([("all", &stats.by_status)]) {
        let cell = |status, style| match by_status.get(status) {
            0 => Cell::styled(Style::Faint, "0"),
            number => Cell::styled(style, number.to_string()),
        };
        tasks.row([
            name.into(),
            by_status.total().to_string().into(),
            cell(Status::Blocked, Style::Plain),
            cell(Status::Pending, Style::Plain),
            cell(Status::Processing, Style::Busy),
            cell(Status::Completed, Style::Good),
            cell(Status::Failed, Style::Bad),
            cell(Status::Cancelled, Style::Bad),
        ]);
    }
    tasks.print(screen)?;
    screen.line("")?;
    let mut flow = Table::new(["PER MINUTE", "LAST 1", "LAST 5", "LAST 15"]);
    let rates = |name: &str, rates: &Rates| {
        let [one, five, fifteen] =
            [rates.last_1, rates.last_5, rates.last_15].map(|rate| format!("{rate:.1}").into());
        [name.into(), one, five, fifteen]
    };
    flow.row(rates("submitted", &stats.per_minute.submitted));
    flow.row(rates("finished", &stats.per_minute.finished));
    flow.print(screen)?;
    screen.line("")?;
    let mut times = Table::new(["LAST 15 MINUTES", "P50", "P95", "TASKS"]);
    let percentiles = |name: &str, times: &Percentiles| {
        let cell = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), format::millis).into();
        [
            name.into(),
            cell(times.p50),
            cell(times.p95),
            times.count.to_string().into(),
        ]
    };
    times.row(percentiles("wait for a worker", &stats.queue_wait_ms));
    times.row(percentiles("run", &stats.run_ms));
    times.print(screen)?;
    screen.line("")?;
    queues(&stats.queues, screen)?;
    Ok(Exit::Done)
}

/// Leaves out empty queues, because most queues are empty most of the time.
fn queues(queues: &[QueueDepth], screen: &Screen) -> Result<()> {
    let is_empty = |queue: &&QueueDepth| queue.visible + queue.in_flight + queue.delayed == 0;
    let empty = queues.iter().filter(is_empty).count();
    if empty == queues.len() {
        screen.line(format_args!("{} queues, all empty", queues.len()))?;
        return Ok(());
    }
    let mut table = Table::new(["QUEUE (ALL TENANTS)", "WAITING", "IN FLIGHT", "DELAYED"]);
    for queue in queues.iter().filter(|queue| !is_empty(queue)) {
        let [visible, in_flight, delayed] =
            [queue.visible, queue.in_flight, queue.delayed].map(|number| number.to_string().into());
        table.row([queue.name.as_str().into(), visible, in_flight, delayed]);
    }
    table.print(screen)?;
    if empty > 0 {
        screen.line(format_args!("empty queues, not shown: {empty}"))?;
    }
    Ok(())
}

pub(crate) async fn workers(client: &Client, screen: &Screen) -> Result<Exit> {
    let response = client.workers().await?;
    if screen.json {
        for worker in &response.workers {
            screen.value(worker)?;
        }
        return Ok(Exit::Done);
    }
    let now = Timestamp::now();
    let mut table = Table::new([
        "WORKER",
        "RUNNING",
        "LIMIT",
        "PROCESSED",
        "FAILED",
        "RETRIED",
        "MEAN BATCH",
        "COLD STARTS",
        "LAST SEEN",
    ]);
    for worker in &response.workers {
        table.row([
            worker.name.as_str().into(),
            worker.running.to_string().into(),
            worker.limit.to_string().into(),
            worker.processed.to_string().into(),
            worker.failed.to_string().into(),
            worker.retried.to_string().into(),
            worker
                .mean_batch
                .map_or_else(|| "-".to_owned(), |mean| format!("{mean:.2}"))
                .into(),
            worker.cold_starts.to_string().into(),
            worker
                .last_seen
                .map_or_else(
                    || "-".to_owned(),
                    |seen| format!("{} ago", format::age(seen, now)),
                )
                .into(),
        ]);
    }
    table.print(screen)?;
    if screen.is_terminal {
        screen.note(&format!(
            "of the last {} minutes, from the functions' metrics",
            response.minutes
        ));
    }
    Ok(Exit::Done)
}

pub(crate) async fn models(client: &Client, screen: &Screen) -> Result<Exit> {
    let models = client.models().await?;
    if screen.json {
        for model in &models {
            screen.value(model)?;
        }
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["MODEL", "VERSION", "LICENCE", "RUNS IN", "ENGINE", "ANSWERS"]);
    for model in &models {
        let types: Vec<_> = model
            .task_types
            .iter()
            .map(|task_type| task_type.as_str())
            .collect();
        table.row([
            model.name.as_str().into(),
            model.version.as_deref().unwrap_or("-").into(),
            model.licence.as_deref().unwrap_or("-").into(),
            model.runs_in.as_str().into(),
            model.engine.as_str().into(),
            types.join(", ").into(),
        ]);
    }
    table.print(screen)?;
    Ok(Exit::Done)
}

//! `mesh inspect`: a task and its history in the order of events.

use std::iter::once;

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{AttemptView, Client, TaskView};
use mesh_task::{Outcome, TaskId};

use crate::exit::Exit;
use crate::screen::{Screen, Style};
use crate::table::{Cell, Table};
use crate::{format, tasks};

pub(crate) async fn run(client: &Client, id: TaskId, screen: &Screen) -> Result<Exit> {
    let task = client.get(id).await?;
    tasks::show(&task, screen)?;
    if screen.json {
        return Ok(Exit::Done);
    }
    screen.line(format_args!(
        "{}{}",
        screen.paint(Style::Faint, &format!("{:<10}", "log")),
        task.correlation_id
    ))?;
    if let Some(usage) = &task.usage {
        screen.line(format_args!(
            "{}{} tokens read, {} written, {}",
            screen.paint(Style::Faint, &format!("{:<10}", "usage")),
            usage.input_tokens,
            usage.output_tokens,
            format::millis(usage.provider_ms)
        ))?;
    }
    screen.line("")?;
    history(&task).print(screen)?;
    Ok(Exit::Done)
}

/// One row per event, with the time since the event before it.
fn history(task: &TaskView) -> Table<4> {
    let mut table = Table::new(["TIME (UTC)", "AFTER", "EVENT", "WHAT"]);
    let mut last = task.created_at;
    let mut add = |at: Timestamp, event: Cell, what: String| {
        table.row([
            format::time_of_day(at).into(),
            format::elapsed(last, at).into(),
            event,
            what.into(),
        ]);
        last = at;
    };
    let accepted = format!("{} of size {}", task.task_type, tasks::size(task));
    add(task.created_at, "accepted".into(), accepted);
    let first = task.attempts.first().map_or(1, |attempt| attempt.generation);
    if first > 1 {
        let note = format!("generations before {first} are no longer in the history");
        add(task.created_at, Cell::styled(Style::Faint, "..."), note);
    }
    let mut number = 0;
    let before = once(first).chain(task.attempts.iter().map(|attempt| attempt.generation));
    for (attempt, before) in task.attempts.iter().zip(before) {
        number = if attempt.generation == before {
            number + 1
        } else {
            1
        };
        let run = if task.generation > 1 {
            format!("run {number} of generation {}", attempt.generation)
        } else {
            format!("run {number}")
        };
        add(attempt.started_at, "claimed".into(), run);
        if let (Some(at), Some(outcome)) = (attempt.ended_at, attempt.outcome) {
            add(
                at,
                Cell::styled(outcome_style(outcome), format::outcome(outcome)),
                attempt_detail(task, attempt),
            );
        }
    }
    if let Some(next) = task.next_attempt_at {
        add(
            next,
            Cell::styled(Style::Busy, "due"),
            "the next attempt".to_owned(),
        );
    } else if task
        .attempts
        .last()
        .is_none_or(|last| last.ended_at.is_some_and(|at| at < task.updated_at))
    {
        let status = Cell::styled(format::status_style(task.status), task.status.as_str());
        add(task.updated_at, status, String::new());
    }
    table
}

fn attempt_detail(task: &TaskView, attempt: &AttemptView) -> String {
    if let Some(error) = &attempt.error {
        return error.clone();
    }
    match (attempt.outcome, &task.timings) {
        (Some(Outcome::Completed), Some(times)) => {
            let [load, inference] = [times.load_ms, times.inference_ms].map(format::millis);
            format!("load {load}, inference {inference}")
        }
        _ => String::new(),
    }
}

const fn outcome_style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Completed => Style::Good,
        Outcome::Throttled | Outcome::Interrupted => Style::Busy,
        _ => Style::Bad,
    }
}

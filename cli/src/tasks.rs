//! The commands that take task ids: `mesh status`, `result`, `cancel`, `retry` and `wait`.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use mesh_client::{Client, Error, TaskView};
use mesh_task::{Status, TaskId, TaskResult};
use serde_json::json;

use crate::annotate::Annotation;
use crate::args::{ResultArgs, WaitArgs};
use crate::exit::{self, Exit, usage};
use crate::screen::{Screen, Style, replace_controls};
use crate::task_waiter::TaskWaiter;
use crate::{format, input};

pub(crate) async fn status(client: &Client, id: TaskId, screen: &Screen) -> Result<Exit> {
    show(&client.get(id).await?, screen)?;
    Ok(Exit::Done)
}

/// The exit code of a command whose task has this status.
pub(crate) const fn exit_for(status: Status) -> Exit {
    match status {
        Status::Completed => Exit::Done,
        Status::Failed | Status::Cancelled => Exit::Failed,
        Status::Blocked | Status::Pending | Status::Processing => Exit::NotFinal,
    }
}

/// Prints a task's most important fields.
pub(crate) fn show(task: &TaskView, screen: &Screen) -> Result<()> {
    if screen.json {
        return screen.value(task);
    }
    let name = |name: &str| screen.paint(Style::Faint, &format!("{name:<10}"));
    let field =
        |label: &str, text: &str| screen.line(format_args!("{}{}", name(label), replace_controls(text)));
    field("id", &task.id.to_string())?;
    field(
        "type",
        &format!(
            "{}, {}, {} priority",
            task.task_type,
            size(task),
            task.priority.as_str()
        ),
    )?;
    let status = screen.paint(format::status_style(task.status), task.status.as_str());
    screen.line(format_args!("{}{status}", name("status")))?;
    field("created", &format!("{} UTC", format::timestamp(task.created_at)))?;
    let generation = if task.generation > 1 {
        format!(", generation {}", task.generation)
    } else {
        String::new()
    };
    field(
        "attempt",
        &format!("{} of {}{generation}", task.attempt, task.max_attempts),
    )?;
    if let Some(next) = task.next_attempt_at {
        field("next", &format!("{} UTC", format::timestamp(next)))?;
    }
    if !task.metadata.is_empty() {
        field("metadata", &format::metadata(&task.metadata))?;
    }
    if let Some(times) = &task.timings {
        let [queued, load, inference] =
            [times.queued_ms, times.load_ms, times.inference_ms].map(format::millis);
        field(
            "took",
            &format!("queued {queued}, load {load}, inference {inference}"),
        )?;
    }
    if let Some(model) = &task.model {
        field("model", &format!("{} {}", model.name, model.version))?;
    }
    if let Some(error) = &task.error {
        field("error", &format::failure(error))?;
    }
    if let Some(result) = &task.result {
        field("result", &format::result(result))?;
    }
    if let Some(link) = &task.result_link {
        field(
            "result",
            &format!("{} bytes: mesh result {}", link.bytes, task.id),
        )?;
    }
    Ok(())
}

pub(crate) fn size(task: &TaskView) -> &'static str {
    match task.size {
        mesh_task::Size::Small => "small",
        mesh_task::Size::Large => "large",
    }
}

/// The result. Downloads a large one from the payload bucket.
pub(crate) async fn load_result(client: &Client, task: &TaskView) -> Result<Option<TaskResult>> {
    if let (None, Some(link)) = (&task.result, &task.result_link) {
        let body = client.fetch(link).await?;
        return Ok(Some(serde_json::from_slice(&body).map_err(Error::Unreadable)?));
    }
    Ok(task.result.clone())
}

pub(crate) async fn result(client: &Client, args: &ResultArgs, screen: &Screen) -> Result<Exit> {
    let task = client.get(args.id).await?;
    let annotation = match (&args.annotate, &args.file) {
        (Some(output), Some(input)) => Some(Annotation::prepare(task.task_type, input, output)?),
        _ => None,
    };
    let Some(result) = load_result(client, &task).await? else {
        let id = task.id;
        let message = match (&task.error, task.status) {
            (_, Status::Cancelled) => format!("task {id} was cancelled: run mesh retry {id} to run it again"),
            (Some(error), Status::Failed) => format!("task {id} failed: {}", format::failure(error)),
            (_, status) => format!(
                "task {id} is {}: run mesh wait {id} to wait for it",
                status.as_str()
            ),
        };
        screen.error(&message);
        return Ok(exit_for(task.status));
    };
    if screen.json || !screen.is_terminal {
        screen.value(&result)?;
    } else {
        screen.pretty(&result)?;
    }
    if let Some(annotation) = annotation {
        annotation.draw(Some(&result), screen)?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn cancel(client: &Client, ids: &[TaskId], screen: &Screen) -> Result<Exit> {
    let mut worst = Exit::Done;
    for id in ids {
        let changed = client.cancel(*id).await;
        worst = worst.max(report(screen, *id, changed, Exit::Done)?);
    }
    Ok(worst)
}

pub(crate) async fn retry(client: &Client, ids: &[TaskId], screen: &Screen) -> Result<Exit> {
    let mut worst = Exit::Done;
    for id in ids {
        let changed = client.retry(*id).await;
        worst = worst.max(report(screen, *id, changed, Exit::Done)?);
    }
    Ok(worst)
}

/// Prints one line about one of several tasks. An error does not stop the others.
fn report(screen: &Screen, id: TaskId, task: Result<TaskView, Error>, success: Exit) -> Result<Exit> {
    match task {
        Ok(task) if screen.json => screen.value(&task).map(|()| success),
        Ok(task) => {
            let status = screen.paint(format::status_style(task.status), task.status.as_str());
            let more = match (&task.result, &task.error) {
                (Some(result), _) => replace_controls(&format::result(result)),
                (None, Some(error)) => replace_controls(&format::failure(error)),
                (None, None) => String::new(),
            };
            screen.line(format!("{id} {status} {more}").trim_end())?;
            Ok(success)
        }
        Err(error) if screen.json => {
            let message = exit::message(&error);
            screen.value(&json!({ "id": id, "problem": message }))?;
            Ok(exit::from_client_error(&error))
        }
        Err(error) => {
            let message = exit::message(&error);
            match error {
                Error::Problem(_) => screen.error(&format!("{id}: {message}")),
                _ => screen.error(&message),
            }
            Ok(exit::from_client_error(&error))
        }
    }
}

pub(crate) async fn wait(client: &Client, args: &WaitArgs, screen: &Screen) -> Result<Exit> {
    let ids = ids(&args.ids)?;
    let mut waiter = TaskWaiter::start(client, ids.len(), Duration::from_secs(args.timeout)).await?;
    ids.into_iter().for_each(|id| waiter.add(id));
    waiter.close();
    let mut worst = Exit::Done;
    while let Some((id, task)) = waiter.next().await {
        let success = task.as_ref().map_or(Exit::Done, |task| exit_for(task.status));
        worst = worst.max(report(screen, id, task, success)?);
    }
    Ok(worst)
}

/// The ids from the arguments, and from standard input for `-`, without duplicates.
fn ids(given: &[String]) -> Result<Vec<TaskId>> {
    let mut ids = Vec::new();
    let mut seen = HashSet::new();
    for text in given {
        let read = match text.as_str() {
            "-" => String::from_utf8_lossy(&input::read(text.as_ref())?).into_owned(),
            id => id.to_owned(),
        };
        for id in read.split_whitespace() {
            let id = id.parse().map_err(|error| usage(format!("{id}: {error}")))?;
            if seen.insert(id) {
                ids.push(id);
            }
        }
    }
    Ok(ids)
}

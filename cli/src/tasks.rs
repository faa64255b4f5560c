//! The commands that name their tasks: status, result, cancel, retry, wait.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use mesh_client::{Client, Error, Task};
use mesh_task::{Status, TaskId, TaskResult};
use serde_json::json;

use crate::annotate::Annotation;
use crate::args::{ResultArgs, WaitArgs};
use crate::exit::{self, Exit, usage};
use crate::gather::Gather;
use crate::screen::{Screen, Style, clean};
use crate::{input, words};

pub(crate) async fn status(client: &Client, id: TaskId, screen: &Screen) -> Result<Exit> {
    show(&client.get(id).await?, screen)?;
    Ok(Exit::Done)
}

/// How a command ends whose task stands so.
pub(crate) const fn exit_of(status: Status) -> Exit {
    match status {
        Status::Completed => Exit::Done,
        Status::Failed | Status::Cancelled => Exit::Failed,
        Status::Blocked | Status::Pending | Status::Processing => Exit::NotFinal,
    }
}

/// A task, by its most telling fields.
pub(crate) fn show(task: &Task, screen: &Screen) -> Result<()> {
    if screen.json {
        return screen.value(task);
    }
    let name = |name: &str| screen.paint(Style::Faint, &format!("{name:<10}"));
    let field = |label: &str, text: &str| screen.line(format_args!("{}{}", name(label), clean(text)));
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
    let status = screen.paint(words::style(task.status), task.status.as_str());
    screen.line(format_args!("{}{status}", name("status")))?;
    field("created", &format!("{} UTC", words::time(task.created_at)))?;
    let again = if task.generation > 1 {
        format!(", generation {}", task.generation)
    } else {
        String::new()
    };
    field(
        "attempt",
        &format!("{} of {}{again}", task.attempt, task.max_attempts),
    )?;
    if let Some(next) = task.next_attempt_at {
        field("next", &format!("{} UTC", words::time(next)))?;
    }
    if !task.metadata.is_empty() {
        field("metadata", &words::metadata(&task.metadata))?;
    }
    if let Some(times) = &task.timings {
        let [queued, load, inference] =
            [times.queued_ms, times.load_ms, times.inference_ms].map(words::millis);
        field(
            "took",
            &format!("queued {queued}, load {load}, inference {inference}"),
        )?;
    }
    if let Some(model) = &task.model {
        field("model", &format!("{} {}", model.name, model.version))?;
    }
    if let Some(error) = &task.error {
        field("error", &words::failure(error))?;
    }
    if let Some(result) = &task.result {
        field("result", &words::result(result))?;
    }
    if let Some(link) = &task.result_link {
        field(
            "result",
            &format!("{} bytes: mesh result {}", link.bytes, task.id),
        )?;
    }
    Ok(())
}

pub(crate) fn size(task: &Task) -> &'static str {
    match task.size {
        mesh_task::Size::Small => "small",
        mesh_task::Size::Large => "large",
    }
}

/// The result, wherever it lies.
pub(crate) async fn result_of(client: &Client, task: &Task) -> Result<Option<TaskResult>> {
    if let (None, Some(link)) = (&task.result, &task.result_link) {
        let body = client.fetch(link).await?;
        return Ok(Some(serde_json::from_slice(&body).map_err(Error::Unreadable)?));
    }
    Ok(task.result.clone())
}

pub(crate) async fn result(client: &Client, args: &ResultArgs, screen: &Screen) -> Result<Exit> {
    let task = client.get(args.id).await?;
    let annotation = match (&args.annotate, &args.file) {
        (Some(to), Some(from)) => Some(Annotation::prepare(task.task_type, from, to)?),
        _ => None,
    };
    let Some(result) = result_of(client, &task).await? else {
        let id = task.id;
        let told = match (&task.error, task.status) {
            (_, Status::Cancelled) => format!("task {id} was cancelled: mesh retry gives it new attempts"),
            (Some(error), Status::Failed) => format!("task {id} failed: {}", words::failure(error)),
            (_, status) => format!("task {id} is {}: mesh wait {id} waits for it", status.as_str()),
        };
        screen.complain(&told);
        return Ok(exit_of(task.status));
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
        worst = worst.max(told(screen, *id, changed, Exit::Done)?);
    }
    Ok(worst)
}

pub(crate) async fn retry(client: &Client, ids: &[TaskId], screen: &Screen) -> Result<Exit> {
    let mut worst = Exit::Done;
    for id in ids {
        let changed = client.retry(*id).await;
        worst = worst.max(told(screen, *id, changed, Exit::Done)?);
    }
    Ok(worst)
}

/// Says in a line what became of one of several tasks; the others are gone on with.
fn told(screen: &Screen, id: TaskId, task: Result<Task, Error>, success: Exit) -> Result<Exit> {
    match task {
        Ok(task) if screen.json => screen.value(&task).map(|()| success),
        Ok(task) => {
            let status = screen.paint(words::style(task.status), task.status.as_str());
            let more = match (&task.result, &task.error) {
                (Some(result), _) => clean(&words::result(result)),
                (None, Some(error)) => clean(&words::failure(error)),
                (None, None) => String::new(),
            };
            screen.line(format!("{id} {status} {more}").trim_end())?;
            Ok(success)
        }
        Err(error) if screen.json => {
            let said = exit::in_words(&error);
            screen.value(&json!({ "id": id, "problem": said }))?;
            Ok(exit::of_client(&error))
        }
        Err(error) => {
            let said = exit::in_words(&error);
            match error {
                Error::Problem(_) => screen.complain(&format!("{id}: {said}")),
                _ => screen.complain(&said),
            }
            Ok(exit::of_client(&error))
        }
    }
}

pub(crate) async fn wait(client: &Client, args: &WaitArgs, screen: &Screen) -> Result<Exit> {
    let ids = ids(&args.ids)?;
    let mut gather = Gather::begin(client, ids.len(), Duration::from_secs(args.timeout)).await?;
    ids.into_iter().for_each(|id| gather.add(id));
    gather.all_are_added();
    let mut worst = Exit::Done;
    while let Some((id, task)) = gather.next().await {
        let success = task.as_ref().map_or(Exit::Done, |task| exit_of(task.status));
        worst = worst.max(told(screen, id, task, success)?);
    }
    Ok(worst)
}

/// The ids that are named, or come line by line, each once.
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

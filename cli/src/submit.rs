//! `mesh submit`.

use std::time::Duration;

use anyhow::Result;
use mesh_client::{Client, Error};
use mesh_task::{Status, TaskId, TaskType};
use serde::Serialize;

use crate::annotate::Annotation;
use crate::args::SubmitArgs;
use crate::exit::Exit;
use crate::screen::Screen;
use crate::shutdown_signals::ShutdownSignals;
use crate::{input, tasks};

/// What `--json` prints without `--wait`: the response without its links, which `mesh` follows itself.
#[derive(Serialize)]
struct AcceptedTask {
    id: TaskId,
    #[serde(rename = "type")]
    task_type: TaskType,
    status: Status,
}

pub(crate) async fn run(client: &Client, args: SubmitArgs, screen: &Screen) -> Result<Exit> {
    // This comes first: if the image cannot be drawn on, there is no need to submit it.
    let annotation = match (&args.annotate, &args.file) {
        (Some(output), Some(input)) => Some(Annotation::prepare(args.task_type, input, output)?),
        _ => None,
    };
    let submission = input::submission(client, &args).await?;
    let accepted = match &args.idempotency_key {
        Some(key) => client.submit_keyed(&submission, key).await,
        None => client.submit(&submission).await,
    };
    let accepted = accepted.map_err(|error| match error {
        Error::Problem(mut problem) => {
            problem.detail = with_flag_names(&problem.detail, &args);
            Error::Problem(problem)
        }
        other => other,
    })?;
    if !args.wait && annotation.is_none() {
        if screen.json {
            screen.value(&AcceptedTask {
                id: accepted.id,
                task_type: accepted.task_type,
                status: accepted.status,
            })?;
        } else {
            screen.line(accepted.id)?;
        }
        return Ok(Exit::Done);
    }
    let id = accepted.id;
    // The task runs even if this program ends, and the user needs its id to find it again.
    let print_id = || {
        screen.note(&format!(
            "mesh: task {id} is submitted: run mesh wait {id} to wait for it"
        ));
    };
    let wait = async {
        let task = client.wait(id, Duration::from_secs(args.timeout)).await?;
        let result = match &annotation {
            Some(_) => tasks::load_result(client, &task).await?,
            None => None,
        };
        anyhow::Ok((task, result))
    };
    let mut signals = ShutdownSignals::listen().inspect_err(|_| print_id())?;
    let (task, result) = tokio::select! {
        waited = wait => waited.inspect_err(|_| print_id())?,
        exit = signals.next() => {
            print_id();
            return Ok(exit);
        }
    };
    tasks::show(&task, screen)?;
    if let Some(annotation) = annotation {
        annotation.draw(result.as_ref(), screen)?;
    }
    Ok(tasks::exit_for(task.status))
}

/// Replaces the names of fields in the API's message by the flags that set them.
fn with_flag_names(detail: &str, args: &SubmitArgs) -> String {
    let content = match (&args.file, &args.stdin) {
        (Some(_), _) => "--file",
        (None, Some(_)) => "standard input",
        (None, None) => "--text",
    };
    let mut message = detail.to_owned();
    // The longer name first, because the shorter one is a part of it.
    for field in ["texts", "text", "image", "audio", "upload"] {
        message = message.replace(&format!("input.{field}"), content);
    }
    for field in [
        "labels",
        "multi_label",
        "max_sentences",
        "ratio",
        "target_language",
        "schema",
        "engine",
    ] {
        let flag = format!("--{}", field.replace('_', "-"));
        message = message
            .replace(&format!("input.{field}"), &flag)
            .replace(&format!("`{field}`"), &format!("`{flag}`"));
    }
    for field in ["metadata", "max_attempts", "timeout_seconds"] {
        if let Some(rest) = message.strip_prefix(field) {
            message = format!("--{}{rest}", field.replace('_', "-"));
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn an_api_message_names_flags_instead_of_fields() {
        for (content, detail, message) in [
            (
                ["--text", "a"],
                "input.text is empty: send at least one word",
                "--text is empty: send at least one word",
            ),
            (
                ["--text", "a"],
                "input.texts[1] is empty: send at least one word",
                "--text[1] is empty: send at least one word",
            ),
            (
                ["--file", "a"],
                "input.upload expired: upload it again",
                "--file expired: upload it again",
            ),
            (
                ["--text", "a"],
                "input: missing field `target_language`",
                "input: missing field `--target-language`",
            ),
            (
                ["--text", "a"],
                "input.max_sentences is 99: send 1 to 50",
                "--max-sentences is 99: send 1 to 50",
            ),
            (
                ["--text", "a"],
                "max_attempts must be a whole number from 1 to 10",
                "--max-attempts must be a whole number from 1 to 10",
            ),
        ] {
            let arguments = [&["mesh", "submit", "classify"][..], &content].concat();
            let Command::Submit(args) = Cli::parse_from(arguments).command else {
                panic!("the command is submit")
            };
            assert_eq!(with_flag_names(detail, &args), message);
        }
    }
}

//! `mesh submit`.

use std::time::Duration;

use anyhow::Result;
use mesh_client::Client;

use crate::annotate::Annotation;
use crate::args::SubmitArgs;
use crate::ends::Ends;
use crate::exit::Exit;
use crate::screen::Screen;
use crate::{input, tasks};

pub(crate) async fn run(client: &Client, args: SubmitArgs, screen: &Screen) -> Result<Exit> {
    // Before anything is sent: what can't be drawn on need not be computed.
    let annotation = match (&args.annotate, &args.file) {
        (Some(to), Some(from)) => Some(Annotation::prepare(args.task_type, from, to)?),
        _ => None,
    };
    let submission = input::submission(client, &args).await?;
    let accepted = match &args.idempotency_key {
        Some(key) => client.submit_keyed(&submission, key).await?,
        None => client.submit(&submission).await?,
    };
    if !args.wait && annotation.is_none() {
        if screen.json {
            screen.value(&accepted)?;
        } else {
            screen.line(accepted.id)?;
        }
        return Ok(Exit::Done);
    }
    let id = accepted.id;
    // It goes on all the same, and only its id leads to it.
    let tell = || {
        screen.note(&format!(
            "mesh: task {id} is submitted: mesh wait {id} waits for it"
        ));
    };
    let done = async {
        let task = client.wait(id, Duration::from_secs(args.timeout)).await?;
        let result = match &annotation {
            Some(_) => tasks::result_of(client, &task).await?,
            None => None,
        };
        anyhow::Ok((task, result))
    };
    let mut ends = Ends::listen().inspect_err(|_| tell())?;
    let (task, result) = tokio::select! {
        done = done => done.inspect_err(|_| tell())?,
        exit = ends.next() => {
            tell();
            return Ok(exit);
        }
    };
    tasks::show(&task, screen)?;
    if let Some(annotation) = annotation {
        annotation.draw(result.as_ref(), screen)?;
    }
    Ok(tasks::exit_of(task.status))
}

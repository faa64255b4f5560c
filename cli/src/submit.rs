//! `mesh submit`.

use std::time::Duration;

use anyhow::Result;
use mesh_client::Client;

use crate::annotate::Annotation;
use crate::args::SubmitArgs;
use crate::exit::Exit;
use crate::screen::Screen;
use crate::shutdown_signals::ShutdownSignals;
use crate::{input, tasks};

pub(crate) async fn run(client: &Client, args: SubmitArgs, screen: &Screen) -> Result<Exit> {
    // This comes first: if the image cannot be drawn on, there is no need to submit it.
    let annotation = match (&args.annotate, &args.file) {
        (Some(output), Some(input)) => Some(Annotation::prepare(args.task_type, input, output)?),
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

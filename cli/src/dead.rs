//! `mesh dead`: tasks whose attempts were all in vain.

use anyhow::Result;
use jiff::Timestamp;
use mesh_client::{Client, Task, Which};
use mesh_task::TaskType;

use crate::args::DeadCommand;
use crate::exit::Exit;
use crate::screen::Screen;
use crate::table::Table;
use crate::{inspect, words};

/// How many the API redrives at a time.
const REDRIVEN: usize = 100;

pub(crate) async fn run(client: &Client, command: &DeadCommand, screen: &Screen) -> Result<Exit> {
    match command {
        DeadCommand::List {
            task_type,
            limit,
            all,
        } => {
            let most = if *all { usize::MAX } else { limit.get() };
            list(client, *task_type, most, screen).await?;
            Ok(Exit::Done)
        }
        DeadCommand::Show { id } => inspect::run(client, *id, screen).await,
        DeadCommand::Redrive { ids, task_type, .. } => {
            let mut redriven = BatchMetrics::default();
            match (&ids[..], task_type) {
                ([], Some(task_type)) => redriven.through(client, &Which::Type(*task_type), screen).await?,
                ([], None) => redriven.through(client, &Which::All, screen).await?,
                (ids, _) => {
                    for ids in ids.chunks(REDRIVEN) {
                        redriven
                            .through(client, &Which::Ids(ids.to_vec()), screen)
                            .await?;
                    }
                }
            }
            screen.note(&format!(
                "{} redriven{}",
                words::count(redriven.redriven, "dead letter"),
                if redriven.skipped == 0 {
                    String::new()
                } else {
                    format!(", {} skipped", redriven.skipped)
                }
            ));
            Ok(if redriven.skipped == 0 {
                Exit::Done
            } else {
                Exit::Failed
            })
        }
    }
}

#[derive(Default)]
struct BatchMetrics {
    redriven: usize,
    skipped: usize,
}

impl BatchMetrics {
    /// Redrives them answer by answer, until there are no more.
    async fn through(&mut self, client: &Client, which: &Which, screen: &Screen) -> Result<()> {
        let mut cursor = None;
        loop {
            let answer = client.redrive(which, cursor).await?;
            if screen.json {
                screen.value(&answer)?;
            } else {
                for id in &answer.redriven {
                    screen.line(id)?;
                }
                for id in &answer.skipped {
                    screen.complain(&format!(
                        "{id} is no dead letter: mesh retry is for what failed otherwise"
                    ));
                }
            }
            self.redriven += answer.redriven.len();
            self.skipped += answer.skipped.len();
            cursor = answer.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}

async fn list(client: &Client, task_type: Option<TaskType>, most: usize, screen: &Screen) -> Result<()> {
    let mut letters: Vec<Task> = Vec::new();
    let mut cursor = None;
    while letters.len() < most {
        let page = client.dead_letters(task_type, cursor).await?;
        letters.extend(page.dead_letters);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    letters.truncate(most);
    if screen.json {
        for letter in &letters {
            screen.value(letter)?;
        }
        return Ok(());
    }
    if letters.is_empty() {
        screen.note("no dead letters");
        return Ok(());
    }
    let now = Timestamp::now();
    let mut table = Table::new(["ID", "TYPE", "GENERATION", "TRIES", "DIED", "ERROR"]);
    for letter in &letters {
        table.row([
            letter.id.to_string().into(),
            letter.task_type.as_str().into(),
            letter.generation.to_string().into(),
            letter.attempt.to_string().into(),
            format!("{} ago", words::ago(letter.updated_at, now)).into(),
            letter
                .error
                .as_ref()
                .map(words::failure)
                .unwrap_or_default()
                .into(),
        ]);
    }
    table.print(screen)?;
    Ok(())
}
